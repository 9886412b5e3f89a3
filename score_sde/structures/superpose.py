"""The distance of point sets of one size whose points correspond, after the best motion.

    RMSD^2 = min over R in SO(3), v of  1/n sum_i |R x_i + v - y_i|^2
           = (|x|^2 + |y|^2 - 2 (s_1 + s_2 + sign(det C) s_3)) / n                             (1)

for centred x and y, with s the singular values, falling, of C = x^T y (Kabsch 1976; Umeyama 1991).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

_ROWS, _COLUMNS = 64, 1024  # of the pairs that are compared at a time: what fits into a cache


def nearest(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Equation (1) to the nearest of y, of each x; float64 [k], infinite if there is no y.

    In angstroms if x and y are; to 1e-4 of their size, of lines too. Of each 1,024 of y the nearest
    is looked for in float32, so another may be nearer by less than a hundredth of the size; its own
    distance is computed in float64. 3,000 chains of 64 points take half a minute beside 100,000.

    Args:
        x: [k, n, 3].
        y: [m, n, 3].
    """
    x, y = (a - a.mean(axis=1, keepdims=True) for a in (np.asarray(x, float), np.asarray(y, float)))
    k, m = len(x), len(y)
    least = np.full(k, np.inf)
    for i in range(0, m, _COLUMNS):
        # Filled up with the last one, so that one program is compiled for all.
        columns = np.minimum(np.arange(i, i + _COLUMNS), m - 1)
        others = jnp.asarray(y[columns].transpose(2, 0, 1), jnp.float32)
        for j in range(0, k, _ROWS):
            rows = np.minimum(np.arange(j, j + _ROWS), k - 1)
            ours = jnp.asarray(x[rows].transpose(2, 0, 1), jnp.float32)
            chosen = y[columns[np.asarray(_nearest(ours, others))]]
            c = x[rows].swapaxes(1, 2) @ chosen
            total = np.sum(x[rows] ** 2, axis=(1, 2)) + np.sum(chosen**2, axis=(1, 2))
            found = np.sqrt(np.maximum(total - 2 * _gain(c), 0) / x.shape[1])
            least[rows] = np.minimum(least[rows], found)
    return least


def onto(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """x, moved as a rigid body to where (1) is least; [n, 3] all."""
    centre_x, centre_y = x.mean(axis=0), y.mean(axis=0)
    u, _, vt = np.linalg.svd((x - centre_x).T @ (y - centre_y))
    u[:, -1] *= np.sign(np.linalg.det(u @ vt))  # a rotation, no reflection
    return (x - centre_x) @ u @ vt + centre_y


@jax.jit
def _nearest(x: jax.Array, y: jax.Array) -> jax.Array:
    """The number of the nearest of y [3, m, n] for each of x [3, k, n], all centred; [k]."""
    c = jnp.einsum("ikn,jmn->ijkm", x, y, precision="highest")
    return jnp.argmin(jnp.sum(y**2, axis=(0, 2))[None] - 2 * _gain_of_planes(c), axis=1)


def _gain_of_planes(c: jax.Array) -> jax.Array:
    """As `_gain`, of [3, 3, ...]: written out, so that it is one pass over the memory."""
    u, v, w = c  # rows of C
    a, b, d = (u[i] * u[i] + v[i] * v[i] + w[i] * w[i] for i in range(3))
    e, f, h = (u[i] * u[j] + v[i] * v[j] + w[i] * w[j] for i, j in ((0, 1), (0, 2), (1, 2)))
    mean = (a + b + d) / 3
    a, b, d = a - mean, b - mean, d - mean
    spread = jnp.sqrt((a * a + b * b + d * d + 2 * (e * e + f * f + h * h)) / 6)
    scale = 1 / jnp.maximum(spread, 1e-15)
    a, b, d, e, f, h = (part * scale for part in (a, b, d, e, f, h))
    cosine = (a * (b * d - h * h) - e * (e * d - h * f) + f * (e * h - b * f)) / 2
    third = jnp.arccos(jnp.clip(cosine, -1, 1)) / 3
    largest = mean + 2 * spread * jnp.cos(third)
    least = mean + 2 * spread * jnp.cos(third + 2 * jnp.pi / 3)
    values = [largest, 3 * mean - largest - least, least]
    first, second, last = (jnp.sqrt(jnp.maximum(value, 0)) for value in values)
    det = u[0] * (v[1] * w[2] - v[2] * w[1]) - u[1] * (v[0] * w[2] - v[2] * w[0])
    det += u[2] * (v[0] * w[1] - v[1] * w[0])
    return first + second + jnp.sign(det) * last


def _gain(c: np.ndarray) -> np.ndarray:
    """s_1 + s_2 + sign(det C) s_3 of matrices [..., 3, 3]."""
    # s^2 are the eigenvalues of C^T C, by the cosines of a third of an angle (Smith 1961): the
    # factorisation of millions of matrices would take minutes.
    squared = c.swapaxes(-1, -2) @ c
    mean = np.trace(squared, axis1=-2, axis2=-1) / 3
    rest = squared - mean[..., None, None] * np.eye(3)
    spread = np.sqrt(np.maximum(np.sum(rest**2, axis=(-2, -1)) / 6, 0))
    tiny = np.finfo(float).tiny
    cosine = np.linalg.det(rest / np.maximum(spread, tiny ** (1 / 4))[..., None, None]) / 2
    third = np.arccos(np.clip(cosine, -1, 1)) / 3
    largest = mean + 2 * spread * np.cos(third)
    least = mean + 2 * spread * np.cos(third + 2 * np.pi / 3)
    between = 3 * mean - largest - least
    values = np.sqrt(np.maximum([largest, between, least], 0))
    return values[0] + values[1] + np.sign(np.linalg.det(c)) * values[2]
