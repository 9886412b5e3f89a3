"""The released U-ViT (arXiv 2209.12152), and the arrays of ours."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from score_sde.interop.dit import Described, depth, heads, label_table
from score_sde.interop.layouts import LED, SAME, affine, affine_stack, no_class, one, patches
from score_sde.interop.proposal import IMAGENET_CLASSES
from score_sde.interop.slots import Slots
from score_sde.models.layers import Dense
from score_sde.models.stacked import Stacked
from score_sde.models.transformer import TokenNorm
from score_sde.models.uvit import SIZES, UViT, UViTBlock

TABLE = "label_emb.weight"


def is_uvit(arrays: Mapping[str, np.ndarray]) -> bool:
    """Whether a state dict is that of a U-ViT, by its names."""
    return {"patch_embed.proj.weight", "mid_block.attn.qkv.weight"} <= arrays.keys()


def describe(arrays: Mapping[str, np.ndarray]) -> Described:
    """What the shapes of a state dict say, of one for which `is_uvit`.

    Args:
        arrays: by their official names.
    """
    channels, data, patch, _ = arrays["patch_embed.proj.weight"].shape
    hidden = arrays["mid_block.mlp.fc1.weight"].shape[0]
    options = {
        "patch": patch,
        "channels": channels,
        "depth": 2 * depth(arrays, "in_blocks") + 1,
        "mlp_ratio": hidden / channels,
        "learn_variance": arrays["decoder_pred.weight"].shape[0] == 2 * data * patch**2,
        "final_conv": "final_layer.weight" in arrays,
        **heads(channels, SIZES),
    }
    told = TABLE in arrays
    side = math.isqrt(arrays["pos_embed"].shape[1] - 1 - told) * patch
    rows = len(arrays[TABLE]) if told else 0
    # ImageNet's classes alone; with one that means none there are 1001.
    classes = rows - (rows != IMAGENET_CLASSES) if told else None
    return Described((side, side, data), classes, options)


def slots(model: UViT, rows: int = 0) -> Slots:
    """Every array of the official network, by its name; see slots.

    Args:
        model: the network; an abstract one will do. The last row of the label's table means no
            class: the released networks count it as a class, the 1001st of ImageNet.
        rows: of their table; as many as classes, where none of them means no class; 0 for one
            more.

    Raises:
        ValueError: it is told something else than a label.
    """
    yield one("pos_embed", model.positions, LED)
    yield from affine("patch_embed.proj", model.dense_in, patches(model.patch))
    if (label := label_table(model.conditions)) is not None:
        yield one(TABLE, label.table, no_class(label) if rows == label.classes else SAME)
    yield from _blocks("in_blocks", model.down)
    for name, layer in _layers(model.middle).items():
        yield from affine(f"mid_block.{name}", layer)
    yield from _blocks("out_blocks", model.up)
    yield from affine("norm", model.norm)
    yield from affine("decoder_pred", model.dense_out)
    if model.conv_out is not None:
        yield from affine("final_layer", model.conv_out)


def _blocks(prefix: str, stacked: Stacked) -> Slots:
    for name, layer in _layers(stacked.block).items():
        yield from affine_stack([f"{prefix}.{i}.{name}" for i in range(stacked.depth)], layer)


def _layers(block: UViTBlock) -> dict[str, Dense | TokenNorm]:
    """The layers of a block by their official names."""
    found = {
        "norm1": block.norm_0,
        "attn.qkv": block.attention.qkv,
        "attn.proj": block.attention.out,
        "norm2": block.norm_1,
        "mlp.fc1": block.feed_forward.dense_0,
        "mlp.fc2": block.feed_forward.dense_1,
        "skip_linear": block.join,
    }
    return {name: layer for name, layer in found.items() if layer is not None}
