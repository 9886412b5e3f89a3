"""MotionAdapter: what makes a released U-Net of Stable Diffusion one of videos (AnimateDiff).

Such a U-Net is of two folders. `joined` makes one config.json of theirs, which COMPONENT reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from score_sde.interop.components import cross_unet, values
from score_sde.interop.components.base import Component
from score_sde.interop.layouts import Layout, affine, stack
from score_sde.interop.slots import Slots
from score_sde.models.cross_unet import CrossUNet
from score_sde.models.motion import Motion

CLASS = "MotionAdapter"
_UNET = "UNet2DConditionModel"
_ADAPTER = "_adapter"  # of the values of `joined`: those of the adapter's own config.json
_READ = (
    "block_out_channels",
    "motion_layers_per_block",
    "motion_mid_block_layers_per_block",
    "motion_transformer_layers_per_block",
    "motion_transformer_layers_per_mid_block",
    "motion_num_attention_heads",
    "motion_norm_num_groups",
    "motion_max_seq_length",
    "use_motion_mid_block",
)
# A table of positions has an axis of one example.
_TABLE = Layout(lambda shape: (1, *shape), lambda array: array[0], lambda array: array[None])


def joined(unet: Mapping[str, Any], adapter: Mapping[str, Any]) -> dict[str, Any]:
    """The values of one config.json for a U-Net with motion, of those of both.

    Raises:
        ValueError: the second is of no adapter, or the first is of no such U-Net.
    """
    for what, config, name in (("pipeline", unet, _UNET), ("folder of --motion", adapter, CLASS)):
        if (said := config.get("_class_name")) != name:
            raise ValueError(f"the {what} has a {said!r:.60}, where motion needs a {name}")
    return {**unet, "_class_name": CLASS, _ADAPTER: dict(adapter)}


def scheduler(config: Mapping[str, Any]) -> dict[str, Any]:
    """The scheduler with which released adapters are used, in place of that of images.

    Its betas are on a line, as they were in training (Guo et al. 2023, arXiv 2307.04725), and DDIM
    makes the steps, equally spaced over all levels.

    Args:
        config: the values of the scheduler_config.json of the pipeline of images.
    """
    return {
        **config,
        "_class_name": "DDIMScheduler",
        "beta_schedule": "linear",
        "timestep_spacing": "linspace",
        "steps_offset": 1,
        "clip_sample": False,
    }


def options(joint: Mapping[str, Any]) -> dict[str, Any]:
    """Of CrossUNet, by what `joined` gives.

    Raises:
        ValueError: see Component.options; or the adapter is of a U-Net of other sizes.
    """
    if _ADAPTER not in joint:
        raise ValueError(f"a {CLASS} alone draws nothing: give its folder as --motion=FOLDER")
    config = joint[_ADAPTER]
    values.check(config, _READ, {})
    found = cross_unet.COMPONENT.options(joint)
    widths = values.present(config, "block_out_channels", (320, 640, 1280, 1280))
    blocks = values.levels(config, "motion_layers_per_block", 2, len(widths))
    groups = values.present(config, "motion_norm_num_groups", 32)
    own = (widths, set(blocks), groups)
    theirs = (tuple(found["widths"]), {found["num_res_blocks"]}, found["groups"])
    if own != theirs:
        raise ValueError(
            f"the adapter is of a U-Net with block_out_channels={list(widths)}, layers_per_block="
            f"{list(blocks)} and norm_num_groups={groups}, which this one has not"
        )
    depths = values.levels(config, "motion_transformer_layers_per_block", 1, len(widths))
    middle = values.levels(config, "motion_mid_block_layers_per_block", 1, 1)
    of_middle = values.levels(config, "motion_transformer_layers_per_mid_block", 1, 1)
    if {*depths, *of_middle} != {depths[0]} or middle != (1,):
        raise ValueError("config.json has other numbers of blocks in its motion; here all are one")
    return found | {
        "motion_heads": values.present(config, "motion_num_attention_heads", 8),
        "motion_depth": depths[0],
        "motion_frames": values.present(config, "motion_max_seq_length", 32),
        "motion_middle": values.present(config, "use_motion_mid_block", True),
    }


def slots(model: CrossUNet) -> Slots:
    """Every array of the motion; cross_unet.slots has the others."""
    for kind, levels in (("down", model.encoder.down), ("up", model.up)):
        for i, level in enumerate(levels):
            for j, motion in enumerate(level.motions):
                yield from _motion(f"{kind}_blocks.{i}.motion_modules.{j}", motion)
    for j, motion in enumerate(model.encoder.middle.motions):
        yield from _motion(f"mid_block.motion_modules.{j}", motion)


def _motion(prefix: str, motion: Motion) -> Slots:
    yield from affine(f"{prefix}.norm", motion.norm)
    yield from affine(f"{prefix}.proj_in", motion.dense_in)
    yield from affine(f"{prefix}.proj_out", motion.dense_out)
    blocks = [f"{prefix}.transformer_blocks.{i}" for i in range(motion.blocks.depth)]
    block = motion.blocks.block
    yield from cross_unet.block_slots(blocks, block)
    yield stack([f"{name}.pos_embed.pe" for name in blocks], block.positions, _TABLE)


def _both(model: CrossUNet) -> Slots:
    yield from cross_unet.COMPONENT.slots(model)
    yield from slots(model)


# Its arrays are those of both.
COMPONENT = Component(CrossUNet, options, _both, cross_unet.prepare)
