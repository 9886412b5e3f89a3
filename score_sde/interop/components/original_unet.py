"""The U-Net of a single file of latent diffusion, or its ControlNet: names, and config by shapes.

Its blocks are counted through, with n residual blocks at each size of the encoder:

    input_blocks     the first convolution; of each size n blocks and a halving
    output_blocks    of each size n + 1 blocks, the last with a doubling

and a block's layers are counted too: residual block, transformer, doubling.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from score_sde.interop.components.cross_unet import CROSS, PLAIN, UP
from score_sde.interop.components.original import Modules
from score_sde.interop.released import Arrays

PREFIX, CONTROL_PREFIX = "model.diffusion_model.", "control_model."
HINT = "input_hint_block"  # what embeds the image of a ControlNet
_RESIDUAL = {
    "in_layers.0": "norm1",
    "in_layers.2": "conv1",
    "emb_layers.1": "time_emb_proj",
    "out_layers.0": "norm2",
    "out_layers.3": "conv2",
    "skip_connection": "conv_shortcut",
}
_OUTSIDE = {
    "input_blocks.0.0": "conv_in",
    "time_embed.0": "time_embedding.linear_1",
    "time_embed.2": "time_embedding.linear_2",
    "time_embed.cond_proj": "time_embedding.cond_proj",
    "label_emb.0.0": "add_embedding.linear_1",
    "label_emb.0.2": "add_embedding.linear_2",
    "label_emb": "class_embedding",
    "middle_block.1": "mid_block.attentions.0",
    "out.0": "conv_norm_out",
    "out.2": "conv_out",
    "middle_block_out.0": "controlnet_mid_block",
}


def modules(blocks: int, attention: Sequence[bool]) -> Modules:
    """Today's names of all modules that a U-Net or ControlNet may have, by the original ones.

    Args:
        blocks: residual blocks at each size of the encoder.
        attention: of each size, from the largest, whether there are transformers.
    """
    found = dict(_OUTSIDE)
    for i, place in enumerate((0, 2)):
        found |= _residual(f"middle_block.{place}", f"mid_block.resnets.{i}")
    for (level, j), n in zip(_counted(len(attention), blocks + 1), itertools.count(1)):
        theirs, today = f"input_blocks.{n}", f"down_blocks.{level}"
        if j == blocks:
            found[f"{theirs}.0.op"] = f"{today}.downsamplers.0.conv"
            continue
        found |= _residual(f"{theirs}.0", f"{today}.resnets.{j}")
        found[f"{theirs}.1"] = f"{today}.attentions.{j}"
    for (level, j), n in zip(_counted(len(attention), blocks + 1), itertools.count()):
        theirs, today = f"output_blocks.{n}", f"up_blocks.{level}"
        found |= _residual(f"{theirs}.0", f"{today}.resnets.{j}")
        has = attention[len(attention) - 1 - level]
        if has:
            found[f"{theirs}.1"] = f"{today}.attentions.{j}"
        if j == blocks:
            found[f"{theirs}.{1 + has}.conv"] = f"{today}.upsamplers.0.conv"
    for i in range(len(attention) * (blocks + 1)):
        found[f"zero_convs.{i}.0"] = f"controlnet_down_blocks.{i}"
    return found | _hint()


def _counted(levels: int, each: int) -> Iterator[tuple[int, int]]:
    return itertools.product(range(levels), range(each))


def _residual(theirs: str, today: str) -> dict[str, str]:
    return {f"{theirs}.{inner}": f"{today}.{name}" for inner, name in _RESIDUAL.items()}


def _hint() -> dict[str, str]:
    """What embeds the image of a ControlNet: every second layer is a swish."""
    names = ("conv_in", *(f"blocks.{i}" for i in range(6)), "conv_out")
    return {f"{HINT}.{2 * i}": f"controlnet_cond_embedding.{name}" for i, name in enumerate(names)}


def structure(arrays: Arrays) -> tuple[int, tuple[bool, ...]]:
    """The arguments of `modules`.

    Args:
        arrays: by their original names, without the prefix.

    Raises:
        ValueError: they are of no U-Net.
    """
    found = {int(m[1]) for name in arrays if (m := re.match(r"input_blocks\.(\d+)\.", name))}
    count = len(found)
    if found != set(range(count)) or count < 2:
        raise ValueError("the file has no U-Net of latent diffusion")
    halvings = [n for n in found if f"input_blocks.{n}.0.op.weight" in arrays]
    blocks = min(halvings, default=count) - 1
    levels = len(halvings) + 1
    if count != levels * (blocks + 1):
        raise ValueError("the file's U-Net has other numbers of blocks at different sizes")
    starts = [1 + level * (blocks + 1) for level in range(levels)]
    return blocks, tuple(f"input_blocks.{n}.1.norm.weight" in arrays for n in starts)


def config(arrays: Arrays) -> dict[str, Any]:
    """What the shapes of a file say, as values of a config.json.

    They do not say how many heads there are: 8 in Stable Diffusion 1 and the upscaler, one for
    each 64 features in 2 and XL, which the layers around the transformers tell apart. Norms have 32
    groups, and sizes of the picture 256 features, in all that were released.

    Args:
        arrays: by their original names, without the prefix.

    Raises:
        ValueError: see `structure`.
    """
    blocks, attention = structure(arrays)
    starts = [1 + level * (blocks + 1) for level in range(len(attention))]

    def shape(name: str) -> tuple[int, ...] | None:
        return np.shape(arrays[name]) if name in arrays else None

    widths = [shape(f"input_blocks.{n}.0.out_layers.3.weight")[0] for n in starts]
    middle = "middle_block.1"
    depth = [_depth(arrays, f"input_blocks.{n}.1") or 1 for n in starts]
    depth[-1] = _depth(arrays, middle) or 1
    text = shape(f"{middle}.transformer_blocks.0.attn2.to_k.weight")
    if text is None:
        raise ValueError("the file's U-Net has no transformer between its halves")
    first = [shape(f"input_blocks.{n}.1.transformer_blocks.0.attn1.to_k.weight") for n in starts]
    linear = len(shape(f"{middle}.proj_in.weight")) == 2
    labels, added = shape("label_emb.weight"), shape("label_emb.0.0.weight")
    kinds = [CROSS if has else PLAIN for has in attention]
    found = {
        "in_channels": shape("input_blocks.0.0.weight")[1],
        "block_out_channels": widths,
        "layers_per_block": blocks,
        "down_block_types": kinds,
        "transformer_layers_per_block": depth,
        "cross_attention_dim": text[1],
        "only_cross_attention": [
            s is not None and s[1] != width for s, width in zip(first, widths, strict=True)
        ],
        "use_linear_projection": linear,
        "attention_head_dim": [w // 64 for w in widths] if linear and labels is None else 8,
        "num_class_embeds": None if labels is None else labels[0],
    }
    if added is not None:
        found["addition_embed_type"] = "text_time"
        found["projection_class_embeddings_input_dim"] = added[1]
    if "middle_block_out.0.weight" in arrays:
        # Of the image's features the first two layers of each size have as many.
        sizes = [shape(f"{HINT}.{4 * i}.weight") for i in range(4)]
        if None in sizes:
            raise ValueError(f"the file's ControlNet has not all layers of its {HINT}")
        found["conditioning_channels"] = sizes[0][1]
        found["conditioning_embedding_out_channels"] = [size[0] for size in sizes]
        return {"_class_name": "ControlNetModel", **found}
    return {
        "_class_name": "UNet2DConditionModel",
        **found,
        "out_channels": shape("out.2.weight")[0],
        "up_block_types": [UP[kind] for kind in reversed(kinds)],
    }


def _depth(arrays: Arrays, prefix: str) -> int:
    """How many blocks a transformer has."""
    numbers = itertools.count()
    name = f"{prefix}.transformer_blocks.{{}}.norm1.weight".format
    return next(n for n in numbers if name(n) not in arrays)
