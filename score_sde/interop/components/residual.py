"""Residual blocks of released U-Nets and autoencoders, as slots."""

from __future__ import annotations

from score_sde.interop.layouts import CONV_1X1, affine
from score_sde.interop.slots import Slots
from score_sde.models.adm import Level
from score_sde.models.blocks import ResBlock


def residual(prefix: str, block: ResBlock) -> Slots:
    """Every array of one."""
    yield from affine(f"{prefix}.norm1", block.norm_0)
    yield from affine(f"{prefix}.conv1", block.conv_0)
    if block.dense is not None:
        yield from affine(f"{prefix}.time_emb_proj", block.dense)
    yield from affine(f"{prefix}.norm2", block.norm_1)
    yield from affine(f"{prefix}.conv2", block.conv_1)
    if block.shortcut is not None:
        yield from affine(f"{prefix}.conv_shortcut", block.shortcut, CONV_1X1)


def residuals(prefix: str, level: Level) -> Slots:
    """Every array of a level but for its attentions; `prefix` is the level's."""
    for i, block in enumerate(level.blocks):
        yield from residual(f"{prefix}.resnets.{i}", block)
    if level.resample is not None:
        name = "upsamplers" if prefix.split(".")[-2] == "up_blocks" else "downsamplers"
        yield from affine(f"{prefix}.{name}.0.conv", level.resample.conv)
