"""ControlNetModel: the released ControlNets of Stable Diffusion 1, 2 and XL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from score_sde.interop.components import cross_unet, values
from score_sde.interop.components.base import Component
from score_sde.interop.layouts import CONV_1X1, affine
from score_sde.interop.slots import Slots
from score_sde.models.controlnet import ControlNet

_READ = ("conditioning_channels", "conditioning_embedding_out_channels", "global_pool_conditions")
_ONLY = {"controlnet_conditioning_channel_order": "rgb"}


def options(config: Mapping[str, Any]) -> dict[str, Any]:
    """Of ControlNet, by the values of config.json; see Component."""
    values.check(
        config, (*cross_unet.READ, *_READ), {**cross_unet.ONLY, **_ONLY}, cross_unet.ANY_VALUE
    )
    return cross_unet.encoder_options(config) | {
        "channels": values.present(config, "in_channels", 4),
        "control_channels": values.present(config, "conditioning_channels", 3),
        "control_widths": values.present(
            config, "conditioning_embedding_out_channels", (16, 32, 96, 256)
        ),
        "pooled": values.present(config, "global_pool_conditions", False),
    }


def slots(model: ControlNet) -> Slots:
    """Every array of the ControlNet after cross_unet.prepare; see slots."""
    yield from cross_unet.told_slots(model.told)
    yield from cross_unet.encoder_slots(model.encoder)
    hint = "controlnet_cond_embedding"
    yield from affine(f"{hint}.conv_in", model.hint.conv_in)
    for i, block in enumerate(model.hint.blocks):
        yield from affine(f"{hint}.blocks.{i}", block)
    yield from affine(f"{hint}.conv_out", model.hint.conv_out)
    for i, layer in enumerate(model.skips):
        yield from affine(f"controlnet_down_blocks.{i}", layer, CONV_1X1)
    yield from affine("controlnet_mid_block", model.middle, CONV_1X1)


COMPONENT = Component(ControlNet, options, slots, cross_unet.prepare)
