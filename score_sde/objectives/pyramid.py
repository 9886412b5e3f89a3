"""A distance of images by scales, which needs no trained network.

A pyramid of an image takes it apart by scales (Burt and Adelson 1983),

    L_j = G_j - B G_j,    G_(j+1) = every other pixel of B G_j,    G_0 = the image,          (1)

with B the binomial blur of five pixels each way. The distance of two images is the sum over scales
of the mean absolute difference of their L_j, and of the last G: Lap_1 of Bojanowski et al. 2018
(arXiv 1707.05776, Section 3), where 2^(2 j) stands for the mean, as L_j has as many times fewer
pixels. A blurred edge costs little by pixels, of which few are off by much, and the better part of
one whole scale here; a slow drift of colour costs the coarsest alone.

(1) is linear, so what is taken apart is the difference of the images.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

_BLUR = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)
_COARSEST = 4  # pixels of a side that is not halved any more


def laplacian(x: jax.Array) -> list[jax.Array]:
    """Equation (1): L_0, L_1, ... and the last G, [batch, height, width, channels] each."""
    found = []
    while min(x.shape[1:3]) > _COARSEST:
        blurred = _blur(_blur(x, 1), 2)
        found.append(x - blurred)
        x = blurred[:, ::2, ::2]
    return [*found, x]


def distance(x: jax.Array, y: jax.Array) -> jax.Array:
    """The distance of images, [batch, height, width, channels], by scales; [batch]."""
    return sum(jnp.mean(jnp.abs(part), axis=(1, 2, 3)) for part in laplacian(x - y))


def _blur(x: jax.Array, axis: int) -> jax.Array:
    """B along an axis; beyond an edge the image is mirrored."""
    n = x.shape[axis]
    pads = [(2, 2) if i == axis else (0, 0) for i in range(4)]
    padded = jnp.pad(x, pads, mode="reflect")
    parts = (jax.lax.slice_in_dim(padded, i, i + n, axis=axis) for i in range(5))
    return sum(weight * part for weight, part in zip(_BLUR, parts, strict=True))
