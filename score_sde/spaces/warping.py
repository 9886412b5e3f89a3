r"""Images moved by affine maps of the plane, without aliasing and without edges.

An image x is reflected at its borders, without end, brought to half-pixel distances, moved there by
bilinear interpolation, and brought back (Karras et al. 2020, arXiv 2006.06676, Appendix B.2):

    y[m] = sum_k h[m - 2 k + 5] x[k],    x'[i] = sum_m h[m - 2 i + 5] y'[m],               (1)

in both directions, with h the orthogonal filter "sym6" of twelve taps, so that what is not moved
comes back as it was. y[m] lies at m / 2 pixels. Reflected at its borders an image of n pixels has
the period 2 (n - 1), and y twice that: y is made for one period.
"""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np

# The low-pass filter of the least asymmetric wavelet with 6 vanishing moments (Daubechies 1992,
# Ten Lectures on Wavelets, Table 6.3), of norm 1.
SYM6 = np.array(
    [
        *(0.015404109327027373, 0.0034907120842174702, -0.11799011114819057),
        *(-0.048311742585633, 0.4910559419267466, 0.787641141030194),
        *(0.3379294217276218, -0.07263752278646252, -0.021060292512300564),
        *(0.04472490177066578, 0.0017677118642428036, -0.007800708325034148),
    ]
)
_CENTRE = 5  # of the filter


def warp(x: jax.Array, inverse: jax.Array) -> jax.Array:
    """Images whose pixel at p shows what was at `inverse` p.

    It takes memory for 16 times the pixels of x.

    Args:
        x: [batch, height, width, channels].
        inverse: of p = (right, down, 1), pixels from the centre of the image, [batch, 3, 3]; its
            last row is not read.

    Returns:
        The shape of x.
    """
    height, width = x.shape[1:3]
    finer = _separable(_up(height, x.dtype), _up(width, x.dtype), x)
    centre = jnp.array([width - 1, height - 1], x.dtype)  # of y
    down, right = (jnp.arange(-_CENTRE, 2 * n + _CENTRE, dtype=x.dtype) for n in (height, width))
    right, down = jnp.meshgrid(right - centre[0], down - centre[1])
    at = jnp.stack([right, down, jnp.ones_like(right)], axis=-1)

    def move(y: jax.Array, matrix: jax.Array) -> jax.Array:
        matrix = matrix[:2].at[:, 2].set(2 * matrix[:2, 2] + centre)
        return _bilinear(y, jnp.einsum("hwj,ij->hwi", at, matrix, precision="highest"))

    moved = jax.vmap(move)(finer, inverse.astype(x.dtype))
    return _separable(_down(height, x.dtype), _down(width, x.dtype), moved)


def _separable(vertical: jax.Array, horizontal: jax.Array, x: jax.Array) -> jax.Array:
    """Two matrices, [to, from] each, on the two sides of images."""
    return jnp.einsum("ih,jw,bhwc->bijc", vertical, horizontal, x, precision="highest")


def _bilinear(y: jax.Array, at: jax.Array) -> jax.Array:
    """A periodic image, [height, width, channels], at points (right, down), [n, m, 2]."""
    low = jnp.floor(at)
    share, low = (at - low)[..., None], low.astype(jnp.int32)
    found = 0.0
    for right in (0, 1):
        for down in (0, 1):
            column = (low[..., 0] + right) % y.shape[1]
            row = (low[..., 1] + down) % y.shape[0]
            weight = jnp.abs(1 - right - share[:, :, 0]) * jnp.abs(1 - down - share[:, :, 1])
            found += weight * y[row, column]
    return found


def _up(n: int, dtype: jnp.dtype) -> jax.Array:
    """From n pixels to one period of y, equation (1): [2 period, n]."""
    return jnp.asarray(_up_matrix(n), dtype)


@functools.cache
def _up_matrix(n: int) -> np.ndarray:
    period = max(2 * (n - 1), 1)
    matrix = np.zeros((2 * period, n))
    for m in range(2 * period):
        for tap, weight in enumerate(SYM6):
            k, odd = divmod(m + _CENTRE - tap, 2)
            if not odd:
                matrix[m, min(k % period, -k % period)] += weight
    return matrix


def _down(n: int, dtype: jnp.dtype) -> jax.Array:
    """From y[-5 .. 2 n + 4] back to n pixels, equation (1): [n, 2 n + 10]."""
    matrix = np.zeros((n, 2 * (n + _CENTRE)))
    for i in range(n):
        matrix[i, 2 * i : 2 * i + len(SYM6)] = SYM6
    return jnp.asarray(matrix, dtype)
