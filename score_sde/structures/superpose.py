"""The distance of point sets of one size whose points correspond, after the best motion.

    RMSD^2 = min over R in SO(3), v of  1/n sum_i |R x_i + v - y_i|^2
           = (|x|^2 + |y|^2 - 2 (s_1 + s_2 + sign(det C) s_3)) / n                             (1)

for centred x and y, with s the singular values, falling, of C = x^T y (Kabsch 1976; Umeyama 1991).
"""

from __future__ import annotations

import numpy as np

_AT_ONCE = 2**21  # matrices C


def rmsd(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Equation (1) of all pairs; angstroms if x and y are. To 1e-4 of their size, of lines too.

    Args:
        x: [k, n, 3].
        y: [m, n, 3].

    Returns:
        float64 [k, m].
    """
    x, y = (a - a.mean(axis=1, keepdims=True) for a in (np.asarray(x, float), np.asarray(y, float)))
    k, n, _ = x.shape
    flat = y.transpose(1, 0, 2).reshape(n, -1)
    sizes = np.sum(y**2, axis=(1, 2))
    rows = max(1, _AT_ONCE // max(1, len(y)))
    found = []
    for i in range(0, k, rows):
        part = x[i : i + rows]
        c = part.transpose(0, 2, 1).reshape(-1, n) @ flat
        c = c.reshape(len(part), 3, len(y), 3).transpose(0, 2, 1, 3)
        total = np.sum(part**2, axis=(1, 2))[:, None] + sizes[None]
        found.append(np.sqrt(np.maximum(total - 2 * _gain(c), 0) / n))
    return np.concatenate(found) if found else np.zeros((0, len(y)))


def onto(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """x, moved as a rigid body to where (1) is least; [n, 3] all."""
    centre_x, centre_y = x.mean(axis=0), y.mean(axis=0)
    u, _, vt = np.linalg.svd((x - centre_x).T @ (y - centre_y))
    u[:, -1] *= np.sign(np.linalg.det(u @ vt))  # a rotation, no reflection
    return (x - centre_x) @ u @ vt + centre_y


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
