r"""The heat kernel on the rotations of space, IGSO(3): what Gaussian noise is for orientations.

Brownian motion on SO(3) that begins at the identity has, at variance s^2 (Leach et al. 2022; Yim
et al. 2023, arXiv 2302.02277, equation 5, with their t = s^2), the density over the uniform one

    f(w) = sum_l (2 l + 1) exp(-l (l + 1) s^2 / 2) sin((l + 1/2) w) / sin(w / 2)           (1)

of the angle w alone, the axis being uniform. The angle has density (1 - cos w) / pi f(w) on
[0, pi]. The characters sin((l + 1/2) w) / sin(w / 2) have the mean
(2 l + 1) exp(-l (l + 1) s^2 / 2), so of l = 1, E[1 + 2 cos w] = 3 exp(-s^2), and of a product of
independent rotations the s^2 add.

No process here uses it: models of backbones see C-alphas, and these have no orientations of their
own. It is what one of the frames of whole residues would be made of.
"""

from __future__ import annotations

import numpy as np

_SMALLEST = 0.01  # s, for which a thousand terms are needed
_DECAY = 40.0  # terms that are smaller than exp(-_DECAY) are left out
_GRID = 4096  # angles of a distribution function


def density(angle: np.ndarray, s: float) -> np.ndarray:
    """The density of the angle, per radian; shape of angle.

    Args:
        angle: in radians, in [0, pi].
        s: root of the variance, at least 0.01.

    Raises:
        ValueError: s is smaller or not finite.
    """
    # (1 - cos w) / sin(w / 2) = 2 sin(w / 2), so nothing is divided by what vanishes.
    angle = np.asarray(angle, float)
    order, weights = _series(s)
    sines = np.sin((order + 0.5) * angle[..., None])
    return np.maximum(2 / np.pi * np.sin(angle / 2) * (sines @ weights), 0)


def score(angle: np.ndarray, s: float) -> np.ndarray:
    """d log f / dw, which along the axis is the gradient of the log-density of the rotation.

    Where f is below 1e-12 of its largest, rounding has left nothing of it, and the answer is that
    of the Gaussian that f is nearly for small s: -w / s^2.

    Args:
        angle: in radians, in (0, pi].
        s: as of `density`.
    """
    angle = np.asarray(angle, float)
    order, weights = _series(s)
    half = (order + 0.5) * angle[..., None]
    value, slope = np.sin(half) @ weights, np.cos(half) @ (weights * (order + 0.5))
    f = value / np.sin(angle / 2)
    told = f > 1e-12 * np.sum(weights * (2 * order + 1))
    ratio = slope / np.where(told, value, 1) - 0.5 / np.tan(angle / 2)
    return np.where(told, ratio, -angle / s**2)


def angles(rng: np.random.Generator, n: int, s: float) -> np.ndarray:
    """Draws of the angle, [n], in radians, by the inverse of its distribution function."""
    grid = np.linspace(0, np.pi, _GRID + 1)
    middle = density((grid[1:] + grid[:-1]) / 2, s)
    below = np.concatenate([[0], np.cumsum(middle)])
    return np.interp(rng.random(n) * below[-1], below, grid)


def rotations(rng: np.random.Generator, n: int, s: float) -> np.ndarray:
    """Draws of the rotation, matrices [n, 3, 3]."""
    axes = rng.standard_normal((n, 3))
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    return about(axes, angles(rng, n, s))


def about(axes: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Rotations by angles [n] about axes of unit length [n, 3]: matrices [n, 3, 3] (Rodrigues)."""
    x, y, z = axes.T
    zero = np.zeros_like(x)
    across = np.array([[zero, -z, y], [z, zero, -x], [-y, x, zero]]).transpose(2, 0, 1)
    sine, cosine = np.sin(angle)[:, None, None], np.cos(angle)[:, None, None]
    return np.eye(3) + sine * across + (1 - cosine) * across @ across


def angle_of(matrices: np.ndarray) -> np.ndarray:
    """The angles of rotations [n, 3, 3], in [0, pi]; accurate near 0 and pi as between."""
    skew = matrices - matrices.swapaxes(-1, -2)
    sine = np.linalg.norm([skew[..., 2, 1], skew[..., 0, 2], skew[..., 1, 0]], axis=0) / 2
    return np.arctan2(sine, (np.trace(matrices, axis1=-2, axis2=-1) - 1) / 2)


def _series(s: float) -> tuple[np.ndarray, np.ndarray]:
    """l, and (2 l + 1) exp(-l (l + 1) s^2 / 2), of the terms that count."""
    if not _SMALLEST <= s < np.inf:
        raise ValueError(f"s={s} must be finite and at least {_SMALLEST}")
    order = np.arange(2 + int(np.sqrt(2 * _DECAY) / s))
    return order, (2 * order + 1) * np.exp(-order * (order + 1) * s**2 / 2)
