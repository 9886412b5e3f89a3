"""The squared maximum mean discrepancy with a Gaussian kernel, as CMMD has it."""

from __future__ import annotations

import numpy as np

BANDWIDTH = 10.0
_ROWS = 1024  # of one set whose kernels with the other are in memory together


def gaussian_mmd2(x: np.ndarray, y: np.ndarray, bandwidth: float = BANDWIDTH) -> float:
    """Its unbiased estimate (Gretton et al. 2012, equation 3), which may be below 0.

    With k(a, b) = exp(-|a - b|^2 / (2 bandwidth^2)) the mean of k(x, x') and of k(y, y') over pairs
    of different examples, less twice the mean of k(x, y). In Jayasumana et al. (2024, arXiv
    2401.09603, equation 4) it is of embeddings of length 1 by CLIP, and stated 1000 times as large.

    Args:
        x: [n, d], n > 1.
        y: [m, d], m > 1.
        bandwidth: of the kernel.
    """
    x, y = (np.asarray(a, np.float64) for a in (x, y))
    n, m = len(x), len(y)
    xx, yy, xy = (_below_one(*pair, bandwidth) for pair in ((x, x), (y, y), (x, y)))
    return float(xx / (n * (n - 1)) + yy / (m * (m - 1)) - 2 * xy / (n * m))


def _below_one(a: np.ndarray, b: np.ndarray, bandwidth: float) -> float:
    """The sum of k(a, b) - 1.

    The three ones cancel, and no digits are lost where k is near 1; of a point with itself it is 0.
    """
    of_b, total = np.sum(b**2, axis=1), 0.0
    for first in range(0, len(a), _ROWS):
        part = a[first : first + _ROWS]
        squares = np.sum(part**2, axis=1)[:, None] + of_b[None] - 2 * part @ b.T
        total += np.expm1(-np.maximum(squares, 0) / (2 * bandwidth**2)).sum()
    return total
