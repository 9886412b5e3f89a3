r"""A decoder applied to a large state tile by tile, whose memory does not grow with the image.

Tiles overlap by half of their side, and what they give is blended,

    x(p) = sum_i w_i(p) D(z_i)(p),    sum_i w_i(p) = 1,                                      (1)

where w_i is 0 over the first eighth of a tile's side from an edge within the image, rises linearly
over the next quarter, and is divided by the sum over tiles. So (1) is D(z) exactly if a pixel of D
depends on no latent farther away than an eighth of the side. A decoder with norms over all of an
image, or with attention, has no such bound: there tiles differ a little, and seams are blended.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

BLIND = 0.125  # of a tile's side, at an edge within the image, that counts nothing


def tiled(
    decode: Callable[[jax.Array], jax.Array], z: jax.Array, side: int, factor: int
) -> jax.Array:
    """Equation (1), with tiles that overlap by half of their side.

    Args:
        decode: D, from [batch, h, w, channels] to [batch, factor h, factor w, channels].
        z: latents, [batch, height, width, channels].
        side: of a tile, in latents; a side of z that is no longer is one tile.
        factor: how many times as long a side of an image is.

    Returns:
        [batch, factor height, factor width, channels].
    """
    sides = [min(side, length) for length in z.shape[1:3]]
    axes = [_starts(length, one) for length, one in zip(z.shape[1:3], sides, strict=True)]
    if all(len(starts) == 1 for starts in axes):
        return decode(z)
    weights = [
        _weights(length, one, starts, factor)
        for length, one, starts in zip(z.shape[1:3], sides, axes, strict=True)
    ]
    first = jax.eval_shape(decode, jax.ShapeDtypeStruct((len(z), *sides, z.shape[-1]), z.dtype))
    shape = (len(z), *(factor * length for length in z.shape[1:3]), first.shape[-1])
    rows, columns = (grid.ravel() for grid in np.indices([len(starts) for starts in axes]))

    def add(out: jax.Array, index: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, None]:
        top, left = (jnp.asarray(axes[i])[index[i]] for i in range(2))
        down, right = (jnp.asarray(weights[i], out.dtype)[index[i]] for i in range(2))
        tile = decode(jax.lax.dynamic_slice(z, (0, top, left, 0), (len(z), *sides, z.shape[-1])))
        tile = tile * down[None, :, None, None] * right[None, None, :, None]
        at = (0, factor * top, factor * left, 0)
        there = jax.lax.dynamic_slice(out, at, tile.shape)
        return jax.lax.dynamic_update_slice(out, there + tile, at), None

    out = jnp.zeros(shape, first.dtype)
    return jax.lax.scan(add, out, (jnp.asarray(rows), jnp.asarray(columns)))[0]


def _starts(length: int, side: int) -> np.ndarray:
    """Where tiles begin: so evenly that they overlap by half of their side, or more."""
    count = 1 if length == side else 1 + -(-(length - side) // max(1, side // 2))
    return np.linspace(0, length - side, count).round().astype(np.int32)


def _weights(length: int, side: int, starts: np.ndarray, factor: int) -> np.ndarray:
    """w of each tile along an axis, [tiles, factor side], equation (1)."""
    pixel = np.arange(factor * side) + 0.5
    found = np.ones((len(starts), factor * side))
    for weight, start in zip(found, starts, strict=True):
        if start > 0:
            weight *= _rise(pixel / (factor * side))
        if start < length - side:
            weight *= _rise(1 - pixel / (factor * side))
    total = np.zeros(factor * length)
    spans = [slice(factor * start, factor * (start + side)) for start in starts]
    for span, weight in zip(spans, found, strict=True):
        total[span] += weight
    return found / np.stack([total[span] for span in spans])


def _rise(share: np.ndarray) -> np.ndarray:
    """Of the share of a tile's side that lies between a pixel and an inner edge."""
    return np.clip((share - BLIND) / (0.5 - 2 * BLIND), 0, 1)
