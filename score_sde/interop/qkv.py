"""One official layer that makes queries, keys and values, which here are three, as slots."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from score_sde.interop.layouts import Layout
from score_sde.interop.slots import Slot, Slots
from score_sde.models.blocks import Attention

# How it has its channels, from the slowest axis.
ORDERS = {
    "head_kind_channel": (0, 1, 2),  # guided-diffusion's older models, improved-diffusion
    "kind_head_channel": (1, 0, 2),  # its newer ones
    "head_channel_kind": (0, 2, 1),  # EDM, EDM2
}


def qkv(prefix: str, layer: Attention, order: str, layout: Layout) -> Slots:
    """weight and bias of that layer, in an order of ORDERS; the weight in the layout of a Dense."""
    layers = (layer.query, layer.key, layer.value)
    yield kernels(
        f"{prefix}.weight", tuple(one.kernel for one in layers), layer.heads, order, layout
    )
    channels = layer.query.bias.shape[0]
    split, join = split_kinds(channels, layer.heads, order)
    yield Slot(
        {f"{prefix}.bias": (3 * channels,)},
        tuple(one.bias for one in layers),
        lambda a: tuple(split(a)),
        lambda *parts: (join(*parts),),
    )


def kernels(name: str, variables: tuple, heads: int, order: str, layout: Layout) -> Slot:
    """The weight alone, of the kernels for queries, keys and values, [in, out] each."""
    n_in, n_out = variables[0].shape
    split, join = split_kinds(n_out, heads, order)
    return Slot(
        {name: layout.theirs((n_in, 3 * n_out))},
        variables,
        lambda a: tuple(part.T for part in split(layout.ours(a).T)),
        lambda *parts: (layout.back(join(*(part.T for part in parts)).T),),
    )


def split_kinds(
    channels: int, heads: int, order: str
) -> tuple[Callable[[np.ndarray], np.ndarray], Callable[..., np.ndarray]]:
    """From [3 channels, ...] in an order of ORDERS to [3, channels, ...], a head after the other.

    Returns:
        That, and its inverse, which takes the three.
    """
    axes = ORDERS[order]  # of (head, kind, channel), in the official order
    sizes = np.array([heads, 3, channels // heads])
    official = tuple(sizes[list(axes)])
    to_kinds = [axes.index(axis) for axis in (1, 0, 2)]

    def split(a: np.ndarray) -> np.ndarray:
        a = a.reshape(*official, *a.shape[1:])
        a = a.transpose(*to_kinds, *range(3, a.ndim))
        return a.reshape(3, channels, *a.shape[3:])

    def join(*parts: np.ndarray) -> np.ndarray:
        a = np.stack(parts)
        a = a.reshape(3, heads, channels // heads, *a.shape[2:])
        a = a.transpose(*np.argsort(to_kinds), *range(3, a.ndim))
        return a.reshape(3 * channels, *a.shape[3:])

    return split, join
