"""An error of images at several resolutions (Hoogeboom et al. 2023, arXiv 2301.11093, Section 3.3).

In large images most of an error is of fine detail. With A_f the mean over squares of f by f pixels
the loss of an error e is

    |e|^2 + sum over f of  f |A_f e|^2,                                                     (1)

|.|^2 the mean over an example (the paper's weight 1 / s of the size s, up to one factor for all).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import jax


def check(factors: Sequence[int], shape: Sequence[int] | None) -> None:
    """Raise ValueError unless data of a shape can be averaged by these factors.

    Args:
        factors: sides of a square, in pixels.
        shape: of the data, (..., channels); None if it is not known.
    """
    if factors and shape is not None and len(shape) < 2:
        raise ValueError("multiscale is of images and the like: data here are vectors")
    for factor in factors:
        if shape is not None and any(size % factor for size in shape[:-1]):
            sizes = "x".join(map(str, shape[:-1]))
            raise ValueError(f"multiscale={tuple(factors)}: {factor} does not divide {sizes}")


def averaged(x: jax.Array, factor: int) -> jax.Array:
    """The means over squares of this side, [batch, *data] to [batch, *smaller, channels]."""
    batch, *sizes, channels = x.shape
    split = [part for size in sizes for part in (size // factor, factor)]
    inner = tuple(range(2, 2 + 2 * len(sizes), 2))
    return x.reshape(batch, *split, channels).mean(axis=inner)


def reduced(
    error: jax.Array, factors: Sequence[int], reduce: Callable[[jax.Array], jax.Array]
) -> jax.Array:
    """Equation (1) of each example, [batch].

    Args:
        error: [batch, *data].
        factors: see `check`; none for |e|^2 alone.
        reduce: of squares, [batch, *data], over the axes of an example.
    """
    coarse = (factor * reduce(averaged(error, factor) ** 2) for factor in factors)
    return reduce(error**2) + sum(coarse)
