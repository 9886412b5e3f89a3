"""The released DiT and SiT (arXiv 2212.09748, 2401.08740), and the arrays of our DiT.

A state dict of either has the same names. That of a SiT has as many output channels as the data or
twice as many, of which its own code reads the first half; see Flow.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from score_sde.interop.layouts import LED, LINEAR, SAME, Layout, affine, affine_stack, one, patches
from score_sde.interop.slots import Shape, Slots
from score_sde.models.conditions.combined import Embeddings
from score_sde.models.conditions.label import LabelEmbedding
from score_sde.models.dit import SIZES, DiT
from score_sde.models.sizes import Published

TABLE = "y_embedder.embedding_table.weight"


class Described(NamedTuple):
    """What the shapes of a released network say of it.

    Attributes:
        shape: of the data, (height, width, channels), if they are square.
        classes: that it is told, beside the one that means none; None if it is told none.
        options: of our network, by name. "heads" is not there where the width is none that was
            published: no shape depends on it.
    """

    shape: tuple[int, int, int]
    classes: int | None
    options: dict[str, Any]


class Flow(NamedTuple):
    """The last layer of a SiT, whose output is the negative of ours.

    Attributes:
        doubled: whether each pixel of a patch has as many channels again, which nobody reads; zero
            where they are made here.
    """

    doubled: bool

    def layout(self, pixels: int, inner: Layout) -> Layout:
        """Of the arrays of that layer, for so many pixels in a patch."""
        parts = 1 + self.doubled

        def theirs(shape: Shape) -> Shape:
            first, *rest = inner.theirs(shape)
            return (parts * first, *rest)

        def ours(array: np.ndarray) -> np.ndarray:
            split = array.reshape(pixels, parts, -1, *array.shape[1:])
            return -inner.ours(split[:, 0].reshape(-1, *array.shape[1:]))

        def back(array: np.ndarray) -> np.ndarray:
            first = -inner.back(array)
            split = first.reshape(pixels, 1, -1, *first.shape[1:])
            unread = [np.zeros_like(split)] * self.doubled
            return np.concatenate([split, *unread], axis=1).reshape(-1, *first.shape[1:])

        return Layout(theirs, ours, back)


def is_dit(arrays: Mapping[str, np.ndarray]) -> bool:
    """Whether a state dict is that of a DiT or SiT, by its names."""
    return {"x_embedder.proj.weight", "final_layer.linear.weight", TABLE} <= arrays.keys()


def describe(arrays: Mapping[str, np.ndarray]) -> Described:
    """What the shapes of a state dict say, of one for which `is_dit`.

    Args:
        arrays: by their official names.
    """
    channels, data, patch, _ = arrays["x_embedder.proj.weight"].shape
    hidden = arrays["blocks.0.mlp.fc1.weight"].shape[0]
    options = {
        "patch": patch,
        "channels": channels,
        "depth": depth(arrays, "blocks"),
        "mlp_ratio": hidden / channels,
        "learn_variance": arrays["final_layer.linear.weight"].shape[0] == 2 * data * patch**2,
        **heads(channels, SIZES),
    }
    side = math.isqrt(arrays["pos_embed"].shape[1]) * patch
    return Described((side, side, data), len(arrays[TABLE]) - 1, options)


def depth(arrays: Mapping[str, np.ndarray], prefix: str) -> int:
    """How many blocks there are, from PREFIX.0 on."""
    return len({name.split(".")[1] for name in arrays if name.startswith(f"{prefix}.")})


def heads(channels: int, published: Mapping[str, Published]) -> dict[str, int]:
    """The option "heads", if a published size is of this width."""
    found = {size.channels: size.heads for size in published.values()}
    return {"heads": found[channels]} if channels in found else {}


def label_table(conditions: Embeddings | None) -> LabelEmbedding | None:
    """What embeds the label of a network; None if it is told none.

    Raises:
        ValueError: it is told something else, or more.
    """
    if not conditions:
        return None
    modules = list(conditions.values())
    if len(modules) != 1 or not isinstance(modules[0], LabelEmbedding):
        told = ", ".join(sorted(conditions))
        raise ValueError(f"the released networks are told one label at most, not {told}")
    return modules[0]


def slots(model: DiT, flow: Flow | None = None) -> Slots:
    """Every array of the official network, by its name; see slots.

    Args:
        model: the network; an abstract one will do. The last row of the label's table means no
            class: of a network that was trained without it, count one class less.
        flow: of a SiT.

    Raises:
        ValueError: it is told something else than a label.
    """
    yield one("pos_embed", model.positions, LED)
    yield from affine("x_embedder.proj", model.dense_in, patches(model.patch))
    yield from affine("t_embedder.mlp.0", model.noise_embedding.dense_0)
    yield from affine("t_embedder.mlp.2", model.noise_embedding.dense_1)
    if (label := label_table(model.conditions)) is not None:
        yield one(TABLE, label.table)
    block = model.blocks.block
    blocks = [f"blocks.{i}" for i in range(model.blocks.depth)]
    for name, layer in (
        ("attn.qkv", block.attention.qkv),
        ("attn.proj", block.attention.out),
        ("mlp.fc1", block.feed_forward.dense_0),
        ("mlp.fc2", block.feed_forward.dense_1),
        ("adaLN_modulation.1", block.modulation),
    ):
        yield from affine_stack([f"{prefix}.{name}" for prefix in blocks], layer)
    if flow is None:
        yield from affine("final_layer.linear", model.dense_out)
    else:
        last = model.dense_out
        for name, variable, kept in (("weight", last.kernel, LINEAR), ("bias", last.bias, SAME)):
            yield one(f"final_layer.linear.{name}", variable, flow.layout(model.patch**2, kept))
    yield from affine("final_layer.adaLN_modulation.1", model.modulation)
