"""What the shapes of a network of guided- or improved-diffusion say of its constructor's arguments.

The encoder is a list of blocks of all sizes. Where a convolution halves the size it is named so;
where a residual block does, it looks like any other, and the decoder tells how many blocks there
are at a size. A classifier has none: then it is the number at which the blocks of every size are
alike, in their width and in whether attention follows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

Arrays = Mapping[str, np.ndarray]


class _Block(NamedTuple):
    """Of the encoder: its width, whether attention follows, whether a convolution joins it."""

    width: int
    attends: bool
    widens: bool


def describe(arrays: Arrays) -> dict[str, Any]:
    """Arguments of the constructor, by their authors' names; those that leave no trace are usual.

    Args:
        arrays: by their official names.

    Raises:
        ValueError: no number of blocks at each size fits.
    """
    channels = arrays["time_embed.0.weight"].shape[1]
    in_channels = arrays["input_blocks.0.0.weight"].shape[1]
    levels, by_blocks = _levels(arrays)
    found = {
        "in_channels": in_channels,
        "model_channels": channels,
        "num_res_blocks": len(levels[0]),
        "channel_mult": tuple(_multiple(level[0].width, channels) for level in levels),
        "attention_resolutions": [2**i for i, level in enumerate(levels) if level[0].attends],
        "use_scale_shift_norm": _scales(arrays),
        "resblock_updown": by_blocks,
        "image_size": 8 * 2 ** (len(levels) - 1),
    }
    if _is_classifier(arrays):
        side = math.isqrt(arrays["out.2.positional_embedding"].shape[1] - 1)
        return found | {
            "image_size": side * 2 ** (len(levels) - 1),
            "out_channels": len(arrays["out.2.c_proj.weight"]),
            "pool": "attention",
        }
    if (label := arrays.get("label_emb.weight")) is not None:
        found["num_classes"] = len(label)
    return found | {"out_channels": len(arrays["out.2.weight"])}


def narrowest_attention(arrays: Arrays) -> int:
    """The features of the narrowest attention; 0 if there is none."""
    projections = (len(a) for name, a in arrays.items() if name.endswith(".proj_out.weight"))
    return min(projections, default=0)


def _is_classifier(arrays: Arrays) -> bool:
    return "out.2.c_proj.weight" in arrays


def _multiple(width: int, channels: int) -> float:
    multiple = width / channels
    return int(multiple) if multiple == int(multiple) else multiple


def _scales(arrays: Arrays) -> bool:
    block = "input_blocks.1.0"
    width = len(arrays[f"{block}.in_layers.2.weight"])
    return len(arrays[f"{block}.emb_layers.1.weight"]) == 2 * width


def _levels(arrays: Arrays) -> tuple[list[Sequence[_Block]], bool]:
    """The residual blocks of each size, and whether blocks change the size."""
    blocks = list(_blocks(arrays))
    if None in blocks:
        levels: list[list[_Block]] = [[]]
        for block in blocks:
            if block is None:
                levels.append([])
            else:
                levels[-1].append(block)
        return levels, False
    for number in _numbers(arrays, len(blocks)):
        each = (len(blocks) + 1) // number
        split = [blocks[i * each : (i + 1) * each] for i in range(number)]
        changes = [level.pop() for level in split[:-1]]
        if _alike(split, changes):
            return split, number > 1
    raise ValueError("no number of blocks at each size fits its encoder")


def _blocks(arrays: Arrays) -> Iterator[_Block | None]:
    """Those of the encoder after the first convolution; None for a convolution that halves."""
    number = 1
    while any(name.startswith(f"input_blocks.{number}.") for name in arrays):
        prefix = f"input_blocks.{number}"
        if f"{prefix}.0.op.weight" in arrays:
            yield None
        else:
            yield _Block(
                len(arrays[f"{prefix}.0.in_layers.2.weight"]),
                f"{prefix}.1.qkv.weight" in arrays,
                f"{prefix}.0.skip_connection.weight" in arrays,
            )
        number += 1


def _numbers(arrays: Arrays, blocks: int) -> Sequence[int]:
    """How many sizes there may be, of an encoder with so many blocks."""
    if not _is_classifier(arrays):
        changes = {
            name.split(".")[1]
            for name in arrays
            if name.startswith("output_blocks.") and ".in_layers.0.weight" in name
            if name.split(".")[2] != "0"
        }
        return (len(changes) + 1,)
    return [n for n in range(blocks, 0, -1) if (blocks + 1) % n == 0 and (blocks + 1) // n > 1]


def _alike(levels: Sequence[Sequence[_Block]], changes: Sequence[_Block]) -> bool:
    """Whether each size has blocks of one kind, and those that change it keep the width."""
    for level in levels:
        if len({(b.width, b.attends) for b in level}) != 1 or any(b.widens for b in level[1:]):
            return False
    pairs = zip(levels, changes, strict=False)
    kept = all(change.width == level[-1].width for level, change in pairs)
    return kept and not any(change.attends or change.widens for change in changes)
