"""The autoencoder in a single file of latent diffusion: its names, and its config by its shapes."""

from __future__ import annotations

from typing import Any

import numpy as np

from score_sde.interop.components.original import Modules
from score_sde.interop.released import Arrays

PREFIX = "first_stage_model."
_ATTENTION = {
    "norm": "group_norm",
    "q": "to_q",
    "k": "to_k",
    "v": "to_v",
    "proj_out": "to_out.0",
}


def modules(levels: int, blocks: int) -> Modules:
    """Today's names of all modules that an autoencoder may have, by the original ones.

    Args:
        levels: sizes that there are.
        blocks: residual blocks at each size of the encoder.
    """
    found = {"quant_conv": "quant_conv", "post_quant_conv": "post_quant_conv"}
    halves = (("encoder", "down", blocks), ("decoder", "up", blocks + 1))
    for half, kind, count in halves:
        found |= {f"{half}.conv_{side}": f"{half}.conv_{side}" for side in ("in", "out")}
        found[f"{half}.norm_out"] = f"{half}.conv_norm_out"
        for i in range(2):
            found |= _block(f"{half}.mid.block_{i + 1}", f"{half}.mid_block.resnets.{i}")
        for theirs, today in _ATTENTION.items():
            found[f"{half}.mid.attn_1.{theirs}"] = f"{half}.mid_block.attentions.0.{today}"
        for i in range(levels):
            # Counted from the largest size there, and here in the order of the computation.
            theirs = f"{half}.{kind}.{i}"
            today = f"{half}.{kind}_blocks.{i if kind == 'down' else levels - 1 - i}"
            for j in range(count):
                found |= _block(f"{theirs}.block.{j}", f"{today}.resnets.{j}")
            found[f"{theirs}.{kind}sample.conv"] = f"{today}.{kind}samplers.0.conv"
    return found


def _block(theirs: str, today: str) -> dict[str, str]:
    return {theirs: today, f"{theirs}.nin_shortcut": f"{today}.conv_shortcut"}


def config(arrays: Arrays) -> dict[str, Any]:
    """What the shapes of a file say, as values of a config.json.

    They do not say how many groups the norms have, which are 32 in all that were released, nor the
    scaling of the latents.

    Args:
        arrays: by their original names, without the prefix.

    Raises:
        ValueError: they are of no autoencoder.
    """
    widths = []
    while (name := f"encoder.down.{len(widths)}.block.0.conv2.weight") in arrays:
        widths.append(np.shape(arrays[name])[0])
    if not widths or "decoder.conv_in.weight" not in arrays:
        raise ValueError("the file has no autoencoder of latent diffusion")
    kinds = {"down": "DownEncoderBlock2D", "up": "UpDecoderBlock2D"}
    blocks = sum(f"encoder.down.0.block.{j}.conv1.weight" in arrays for j in range(64))
    return {
        "_class_name": "AutoencoderKL",
        "in_channels": np.shape(arrays["encoder.conv_in.weight"])[1],
        "out_channels": np.shape(arrays["decoder.conv_out.weight"])[0],
        "latent_channels": np.shape(arrays["decoder.conv_in.weight"])[1],
        "block_out_channels": widths,
        "layers_per_block": blocks,
        **{f"{side}_block_types": [kind] * len(widths) for side, kind in kinds.items()},
        "mid_block_add_attention": "encoder.mid.attn_1.q.weight" in arrays,
        "use_quant_conv": "quant_conv.weight" in arrays,
        "use_post_quant_conv": "post_quant_conv.weight" in arrays,
    }
