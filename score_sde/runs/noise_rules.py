r"""From what data are like to the noise that suits them: published rules, as formulas.

sigma is the standard deviation of the noise on a state of alpha = 1, so sigma / alpha in general.
Everything here is a few numbers in float64.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

# Karras et al. 2022 (arXiv 2206.00364, Table 1), found at sigma_data = 0.5, 32 and 64 pixels.
P_MEAN, P_STD, SIGMA_DATA, PIXELS = -1.2, 1.2, 0.5, 64
NATS = 1 / 16  # what EDM's sigma_max = 80 leaves of CIFAR-10, as `largest_sigma` counts it
_CONTINUOUS = 0.002 / 0.5  # EDM's sigma_min by its sigma_data, where there are no levels
_TAIL = 1.96  # 95 % of a normal distribution lie within so many standard deviations


class LogNormal(NamedTuple):
    """log sigma ~ N(mean, std^2): P_mean and P_std of Karras et al. 2022."""

    mean: float
    std: float


def largest_sigma(square: float, nats: float = NATS) -> float:
    """The sigma_max at which samples that start from noise alone lose at most so many nats.

    Of x0 + sigma z and sigma z, by the convexity of the divergence,

        KL(p_sigma || N(0, sigma^2 I)) <= E KL(N(x0, sigma^2 I) || N(0, sigma^2 I))
                                        = E |x0|^2 / (2 sigma^2),

    and the reverse process keeps it (the data processing inequality).

    Args:
        square: E |x0|^2.
        nats: the bound.
    """
    return math.sqrt(square / (2 * nats))


def smallest_sigma(step: float | None, sigma_data: float) -> float:
    """The sigma_min below which there is nothing to model.

    A quarter of the step between levels: such noise moves 5 % of numbers nearer to another level,
    and EDM's 0.002 is a quarter of the step of 256 levels in [-1, 1]. Of continuous data EDM's too,
    by its sigma_data.

    Args:
        step: between levels; None of continuous data.
        sigma_data: standard deviation of the data.
    """
    return step / 4 if step else _CONTINUOUS * sigma_data


def log_normal(sigma_data: float) -> LogNormal:
    """EDM's distribution of noise levels, for data of another scale."""
    return LogNormal(P_MEAN + math.log(sigma_data / SIGMA_DATA), P_STD)


def resolution_shift(pixels: float) -> float:
    """How much more noise hides as much of a larger image: 1 up to 64 x 64 pixels.

    A mean over n x n pixels has 1 / n of the noise, so that noise of n times the size hides what it
    hid at 1 / n of the side: Hoogeboom et al. 2023 (arXiv 2301.11093, Section 3.1), relative to 64;
    Esser et al. 2024 (arXiv 2403.03206, equation 23) have sqrt(m / n) of the numbers of pixels.
    EDM's levels were the same for 32 and 64.

    Args:
        pixels: of the image, height times width.
    """
    return max(1.0, math.sqrt(pixels) / PIXELS)


def ratio_of_levels(dimension: int) -> float | None:
    """gamma, of one noise level to the next: technique 2 of Song and Ermon 2020 (2006.09011).

    Phi(sqrt(2 D) (gamma - 1) + 3 gamma) - Phi(sqrt(2 D) (gamma - 1) - 3 gamma) = 0.5: so much of a
    level's noise is of a size that the next one has seen.

    Args:
        dimension: D.

    Returns:
        gamma; None for D <= 4, where any ratio is small enough.
    """
    root = math.sqrt(2 * dimension)
    if root <= 3:
        return None

    def shared(gamma: float) -> float:
        middle = root * (gamma - 1)
        return _normal_cdf(middle + 3 * gamma) - _normal_cdf(middle - 3 * gamma)

    low, high = 1.0, 2 * root / (root - 3)  # where the second Phi is more than a half
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if shared(middle) > 0.5 else (low, middle)
    return (low + high) / 2


def number_of_levels(sigma_min: float, sigma_max: float, ratio: float) -> int:
    """How many levels from sigma_max to sigma_min with at most this ratio from one to the next."""
    return 1 + math.ceil(math.log(sigma_max / sigma_min) / math.log(ratio))


def langevin_snr(ratio: float, steps: int = 1) -> float:
    """snr of Langevin steps after each of noise levels: technique 4 of Song and Ermon 2020.

    With u = epsilon / sigma_min^2, T steps take the variance of the last level, gamma^2 times that
    of this one, to (equation 8)

        s^2 = (1 - u)^(2 T) (gamma^2 - c) + c,    c = 2 u / (1 - (1 - u)^2),

    times that of this one; u is the one that brings s^2 nearest to 1, which it stays above. The
    steps here are x + 2 snr^2 sigma^2 score + 2 snr sigma z at the exact size of the score, of
    which theirs, u sigma^2 score, are those of snr = sqrt(u / 2).

    Args:
        ratio: gamma, of one level to the next.
        steps: T, at each level.
    """
    u = np.geomspace(1e-6, 0.999, 200_001)
    c = 1 / (1 - u / 2)
    left = (1 - u) ** (2 * steps) * (ratio**2 - c) + c
    return math.sqrt(float(u[left.argmin()]) / 2)


def learnt_levels(log_sigma: np.ndarray, loss: np.ndarray) -> tuple[LogNormal, tuple[float, float]]:
    """P_mean and P_std from a loss by noise level, by EDM's rule.

    Karras et al. 2022 (Section 5, Figure 5a) train where the loss falls much: with little noise it
    is both difficult and irrelevant to see it, with much the answer is the mean of the data. So
    1 - loss is what is learnt, if 1 is the loss of that mean and, with little noise, of x itself.
    95 % of the draws are to fall where it is at least half of its maximum.

    Args:
        log_sigma: ascending, [n].
        loss: relative to that of an answer that has learnt nothing else, [n].

    Returns:
        The distribution, and the ends of the interval, in log sigma.

    Raises:
        ValueError: nothing is learnt anywhere, or everywhere as much, so that no end is seen.
    """
    learnt = 1 - np.asarray(loss, np.float64)
    peak = int(learnt.argmax())
    half = learnt[peak] / 2
    if not np.isfinite(learnt).all() or half <= 0.01:
        raise ValueError("its loss is that of a network that has learnt nothing: train it longer")
    below = learnt < half
    left, right = np.flatnonzero(below[:peak]), np.flatnonzero(below[peak:])
    if not left.size and not right.size:
        raise ValueError("its loss is low at all of the times: measure it at more")
    ends = (
        _crossing(log_sigma, learnt, half, left[-1]) if left.size else log_sigma[0],
        _crossing(log_sigma, learnt, half, peak + right[0] - 1) if right.size else log_sigma[-1],
    )
    low, high = map(float, ends)
    return LogNormal((low + high) / 2, (high - low) / (2 * _TAIL)), (low, high)


def _crossing(x: np.ndarray, y: np.ndarray, level: float, i: int) -> float:
    """Where the straight line from point i to the next is at a level."""
    share = (level - y[i]) / (y[i + 1] - y[i])
    return float(x[i] + share * (x[i + 1] - x[i]))


def _normal_cdf(x: float) -> float:
    return 0.5 * (1 + math.erf(x / math.sqrt(2)))
