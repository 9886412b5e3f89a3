"""AutoencoderKL: the released autoencoders of latent diffusion."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from score_sde.interop.components import values
from score_sde.interop.components.base import Component
from score_sde.interop.components.residual import residuals
from score_sde.interop.layouts import CONV_1X1, affine
from score_sde.interop.released import Arrays
from score_sde.interop.slots import Slots
from score_sde.models.adm import Level
from score_sde.models.autoencoder import Autoencoder, Decoder, Encoder

# Of attention, until 2023.
OLD = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
_OLD = re.compile(rf"(\.attentions\.\d+\.)({'|'.join(OLD)})(\.(?:weight|bias))$")

_SAYS = ("latent_channels", "block_out_channels", "layers_per_block", "norm_num_groups")
_SAYS += ("mid_block_add_attention", "use_quant_conv", "use_post_quant_conv", "in_channels")
_SAYS += ("out_channels", "down_block_types", "up_block_types")
_SCALING = ("scaling_factor", "shift_factor", "latents_mean", "latents_std")


class Scaling(NamedTuple):
    """What a denoiser sees of latents: (z - shift) * scale.

    Attributes:
        shift: of each channel, [latent_channels].
        scale: of each channel, [latent_channels].
    """

    shift: np.ndarray
    scale: np.ndarray


def scaling(config: Mapping[str, Any]) -> Scaling:
    """What a config.json says of it; old files lack the factor of Stable Diffusion, 0.18215.

    Raises:
        ValueError: it has values for another number of channels than the latents have, or such as
            cannot be.
    """
    channels = values.present(config, "latent_channels", 4)
    factor = values.present(config, "scaling_factor", 0.18215)
    shift = values.present(config, "shift_factor", 0.0)
    shift = np.asarray(values.levels(config, "latents_mean", shift, channels), np.float32)
    std = np.asarray(values.levels(config, "latents_std", 1.0, channels))
    if not (factor > 0 and (std > 0).all()):
        raise ValueError("config.json has a scaling_factor or latents_std that is not above 0")
    return Scaling(shift, (factor / std).astype(np.float32))


def options(config: Mapping[str, Any]) -> dict[str, Any]:
    """Of Autoencoder, by the values of config.json; see Component."""
    only = {"act_fn": "silu", "norm_type": "group", "mid_block_type": None}
    values.check(config, (*_SAYS, *_SCALING), only, ("sample_size", "force_upcast"))
    widths = values.present(config, "block_out_channels", (64,))
    for name, kind in (("down", "DownEncoderBlock2D"), ("up", "UpDecoderBlock2D")):
        kinds = values.present(config, f"{name}_block_types", (kind,))
        if kinds != (kind,) * len(widths):
            raise ValueError(
                f"config.json says {name}_block_types={list(kinds)}; the network here has "
                f"{len(widths)} times {kind!r}, one for each of block_out_channels"
            )
    channels = [values.present(config, f"{side}_channels", 3) for side in ("in", "out")]
    if channels[0] != channels[1]:
        raise ValueError(
            f"config.json says in_channels={channels[0]} and out_channels={channels[1]}: the "
            "autoencoder here has the same of both"
        )
    return {
        "image_channels": channels[0],
        "latent_channels": values.present(config, "latent_channels", 4),
        "widths": widths,
        "num_res_blocks": values.present(config, "layers_per_block", 1),
        "groups": values.present(config, "norm_num_groups", 32),
        "middle_attention": values.present(config, "mid_block_add_attention", True),
        "quant": values.present(config, "use_quant_conv", True),
        "post_quant": values.present(config, "use_post_quant_conv", True),
    }


def slots(model: Autoencoder) -> Slots:
    """Every array, by today's names; see slots."""
    for name, half in (("encoder", model.encoder), ("decoder", model.decoder)):
        yield from affine(f"{name}.conv_in", half.conv_in)
        yield from _levels(name, half)
        yield from _middle(f"{name}.mid_block", half.middle)
        yield from affine(f"{name}.conv_norm_out", half.head.norm)
        yield from affine(f"{name}.conv_out", half.head.conv)
    for name, layer in (("quant_conv", model.quant), ("post_quant_conv", model.post_quant)):
        if layer is not None:
            yield from affine(name, layer, CONV_1X1)


def _levels(name: str, half: Encoder | Decoder) -> Slots:
    kind, found = ("down", half.down) if isinstance(half, Encoder) else ("up", half.up)
    for i, level in enumerate(found):
        yield from residuals(f"{name}.{kind}_blocks.{i}", level)


def _middle(prefix: str, level: Level) -> Slots:
    yield from residuals(prefix, level)
    for attention in level.attentions:
        inside = f"{prefix}.attentions.0"
        yield from affine(f"{inside}.group_norm", attention.norm)
        yield from affine(f"{inside}.to_q", attention.query)
        yield from affine(f"{inside}.to_k", attention.key)
        yield from affine(f"{inside}.to_v", attention.value)
        yield from affine(f"{inside}.to_out.0", attention.out)


def prepare(arrays: Arrays, config: Mapping[str, Any]) -> Arrays:
    """Attention under today's names; a file that was a single one has 1x1 convolutions there."""
    found = {}
    for name, array in arrays.items():
        today = _OLD.sub(lambda m: m[1] + OLD[m[2]] + m[3], name)
        of_attention = ".attentions." in today and np.ndim(array) == 4
        found[today] = array.reshape(array.shape[:2]) if of_attention else array
    return found


COMPONENT = Component(Autoencoder, options, slots, prepare)
