"""How PyTorch keeps the arrays of a layer, as slots."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from flax import nnx

from score_sde.interop.slots import Shape, Slot, Slots
from score_sde.models.conditions.label import LabelEmbedding
from score_sde.models.layers import Conv, Dense, GroupNorm
from score_sde.models.transformer import TokenNorm


class Layout(NamedTuple):
    """How another project keeps an array.

    Attributes:
        theirs: our shape to theirs.
        ours: their array to ours.
        back: our array to theirs.
    """

    theirs: Callable[[Shape], Shape]
    ours: Callable[[np.ndarray], np.ndarray]
    back: Callable[[np.ndarray], np.ndarray]


SAME = Layout(lambda shape: shape, lambda array: array, lambda array: array)
LINEAR = Layout(lambda shape: shape[::-1], lambda array: array.T, lambda array: array.T)
CONV = Layout(
    lambda s: (s[3], s[2], s[0], s[1]),
    lambda array: array.transpose(2, 3, 1, 0),
    lambda array: array.transpose(3, 2, 0, 1),
)
# A convolution of kernel 1, of one dimension and of two, here is a Dense.
CONV_1 = Layout(
    lambda s: (s[1], s[0], 1),
    lambda array: array[:, :, 0].T,
    lambda array: array.T[:, :, None],
)
CONV_1X1 = Layout(
    lambda s: (s[1], s[0], 1, 1),
    lambda array: array[:, :, 0, 0].T,
    lambda array: array.T[:, :, None, None],
)
# Theirs has an axis of length 1 in front.
LED = Layout(lambda shape: (1, *shape), lambda array: array[0], lambda array: array[None])


def no_class(embedding: LabelEmbedding) -> Layout:
    """Theirs lacks the last row of a table of classes, that of no class, which here begins at zero.

    The way to theirs raises ValueError if that row is trained, by the dropout of labels, and is no
    longer zero: guidance would be lost.
    """

    def back(array: np.ndarray) -> np.ndarray:
        check_no_class(embedding, array)
        return array[:-1]

    return Layout(
        lambda shape: (shape[0] - 1, *shape[1:]),
        lambda array: np.concatenate([array, np.zeros_like(array[:1])]),
        back,
    )


def check_no_class(embedding: LabelEmbedding, table: np.ndarray) -> None:
    """Raise ValueError if the last row of a table of classes is trained and not zero."""
    if embedding.dropout and np.any(table[-1]):
        raise ValueError(
            "the official network has no place for what this one has learnt of no class, "
            "by the dropout of its label"
        )


def swapped(inner: Layout) -> Layout:
    """Theirs has the halves of our last axis the other way round."""

    def swap(array: np.ndarray) -> np.ndarray:
        return np.roll(array, array.shape[-1] // 2, axis=-1)

    return Layout(
        inner.theirs, lambda array: swap(inner.ours(array)), lambda array: inner.back(swap(array))
    )


def channels_slowest(inner: Layout, pixels: int, axis: int) -> Layout:
    """Theirs has, on an axis of ours, the pixels of a patch within each channel, not around all."""

    def turn(array: np.ndarray, slowest: int) -> np.ndarray:
        last = np.moveaxis(array, axis, -1)
        split = last.reshape(*last.shape[:-1], slowest, last.shape[-1] // slowest)
        return np.moveaxis(split.swapaxes(-1, -2).reshape(last.shape), -1, axis)

    return Layout(
        inner.theirs,
        lambda array: turn(found := inner.ours(array), found.shape[axis] // pixels),
        lambda array: inner.back(turn(array, pixels)),
    )


def patches(side: int) -> Layout:
    """A convolution of this size and stride, which here is a Dense on patches."""

    def split(array: np.ndarray) -> np.ndarray:
        return CONV.back(array.reshape(side, side, -1, array.shape[-1]))

    return Layout(
        lambda s: (s[1], s[0] // side**2, side, side),
        lambda array: CONV.ours(array).reshape(-1, len(array)),
        split,
    )


def one(name: str, variable: nnx.Variable, layout: Layout = SAME) -> Slot:
    """One official array that is one of ours."""
    return Slot(
        {name: layout.theirs(tuple(variable.shape))},
        (variable,),
        lambda array: (layout.ours(array),),
        lambda array: (layout.back(array),),
    )


def stack(names: Sequence[str], variable: nnx.Variable, layout: Layout = SAME) -> Slot:
    """Official arrays that are one of ours, one after the other; see models.stacked."""
    shape = layout.theirs(tuple(variable.shape[1:]))
    return Slot(
        dict.fromkeys(names, shape),
        (variable,),
        lambda *arrays: (np.stack([layout.ours(array) for array in arrays]),),
        lambda array: tuple(layout.back(part) for part in array),
    )


def joined(names: Sequence[Sequence[str]], variable: nnx.Variable, layout: Layout = SAME) -> Slot:
    """Official arrays that here are one of stacked blocks, side by side on the last axis.

    Args:
        names: of each block, those of its equal parts in order.
        variable: [blocks, ..., parts times as many].
        layout: of a part.
    """
    blocks, *shape, last = variable.shape
    parts = len(names[0])
    theirs = layout.theirs((*shape, last // parts))

    def ours(*arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        # Filled in place, for these are the largest arrays of a large network.
        found = np.empty((blocks, *shape, parts, last // parts), arrays[0].dtype)
        for i, array in enumerate(arrays):
            found[i // parts, ..., i % parts, :] = layout.ours(array)
        return (found.reshape(blocks, *shape, last),)

    def back(array: np.ndarray) -> tuple[np.ndarray, ...]:
        return tuple(layout.back(part) for block in array for part in np.split(block, parts, -1))

    return Slot({name: theirs for block in names for name in block}, (variable,), ours, back)


def fixed(name: str, value: Any) -> Slot:
    """An official array that here is no array: it must be this one."""
    value = np.asarray(value, np.float32)
    return Slot({name: value.shape}, (), lambda array: (), lambda: (value,))


def computed(variable: nnx.Variable, value: Callable[[], Any]) -> Slot:
    """A constant of ours, this one, that official files do not have."""
    return Slot({}, (variable,), lambda: (value(),), lambda array: ())


def affine(
    prefix: str,
    layer: Dense | Conv | GroupNorm | TokenNorm,
    layout: Layout | None = None,
    bias: Layout = SAME,
) -> Slots:
    """`weight` and, if there is one, `bias` of a layer; of a norm the weight is its scale."""
    for name, variable, kept in _affine(layer, layout, bias):
        yield one(f"{prefix}.{name}", variable, kept)


def affine_stack(
    prefixes: Sequence[str],
    layer: Dense | Conv | TokenNorm,
    layout: Layout | None = None,
    bias: Layout = SAME,
) -> Slots:
    """The same of layers that are one of ours, one after the other; see models.stacked."""
    for name, variable, kept in _affine(layer, layout, bias):
        yield stack([f"{prefix}.{name}" for prefix in prefixes], variable, kept)


def affine_joined(prefixes: Sequence[Sequence[str]], layer: Dense) -> Slots:
    """The same of several layers of each block, which here are one, side by side; see joined."""
    for name, variable, kept in _affine(layer, None, SAME):
        yield joined([[f"{part}.{name}" for part in block] for block in prefixes], variable, kept)


def _affine(
    layer: Any, layout: Layout | None, bias: Layout
) -> list[tuple[str, nnx.Variable, Layout]]:
    match layer:
        case GroupNorm() | TokenNorm():
            found = [("weight", layer.scale, SAME)]
        case Conv():
            found = [("weight", layer.kernel, layout or CONV)]
        case _:
            found = [("weight", layer.kernel, layout or LINEAR)]
    return found if layer.bias is None else [*found, ("bias", layer.bias, bias)]
