"""Checks of the shapes that networks are made for and called with."""

from __future__ import annotations

from collections.abc import Sequence

import jax

from score_sde.checks import check_count


def image_shape(shape: Sequence[int], halvings: int, patch: int = 1) -> tuple[int, int, int]:
    """The shape of images, (height, width, channels), for a network that halves them.

    Args:
        shape: as given to the network.
        halvings: how often it halves both sides.
        patch: side of the patches that it cuts them into first.

    Raises:
        ValueError: that is not a shape of images, or a side cannot be halved so often.
    """
    if len(shape) != 3:
        raise ValueError(
            f"this network is for images, (height, width, channels), not for {tuple(shape)}"
        )
    for name, size in zip(("height", "width", "channels"), shape, strict=True):
        check_count(name, size)
        if name != "channels" and patch > 1 and size % (patch * 2**halvings):
            raise ValueError(
                f"{name} {size} cannot be cut into patches of {patch} and halved {halvings} times, "
                f"as this network does: it must be a multiple of {patch * 2**halvings}"
            )
        if name != "channels" and size % 2**halvings:
            raise ValueError(
                f"{name} {size} cannot be halved {halvings} times, as this network does: "
                f"it must be a multiple of {2**halvings}"
            )
    height, width, channels = shape
    return height, width, channels


def level_sizes(shape: Sequence[int], levels: int) -> list[int]:
    """The sizes of images, (height, width, channels), on the levels of a network, largest first.

    The size of an image is its smaller side, and each level halves it.
    """
    return [min(shape[:2]) // 2**level for level in range(levels)]


def check_attention(sizes: Sequence[int], image: int) -> None:
    """Raise ValueError if no halving of these images, nor of larger ones, gives any of the sizes.

    A recipe may name more than a network has levels for, and those of images of other sizes.
    """
    if sizes and all(_odd(size) != _odd(image) for size in sizes):
        levels = [image >> i for i in range(image.bit_length()) if image % 2**i == 0]
        raise ValueError(
            f"attn_resolutions={tuple(sizes)}: no level has such a size, for images of {image} "
            f"pixels are halved to {', '.join(map(str, levels))}"
        )


def check_state(x: jax.Array, shape: tuple[int, ...]) -> None:
    """Raise ValueError unless x is [batch, *shape]."""
    if x.shape[1:] != shape:
        raise ValueError(f"x is {x.shape}; this network is for [batch, *{shape}]")


def _odd(size: int) -> int:
    """What is left of a number when it is halved as often as that goes."""
    return size // (size & -size)
