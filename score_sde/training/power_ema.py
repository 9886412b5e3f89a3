r"""Averages over training whose weights are a power of the step, and what can be made of several.

A power-function average (Karras et al. 2023, arXiv 2312.02696, Section 3.1) at step T is

    sum_t p_T(t) theta_t,    p_T(t) = (gamma + 1) t^gamma / T^(gamma + 1),    0 < t <= T,       (1)

tracked by  average <- average + (1 - beta_t) (theta_t - average),  beta_t = (1 - 1/t)^(gamma + 1).
Its length is the standard deviation of p_T over T,

    sigma_rel = (gamma + 1)^(1/2) (gamma + 2)^(-1) (gamma + 3)^(-1/2),                          (2)

at most 12^(-1/2), that of the mean of all steps. By the least squares of their Section 3.2, a sum
of the p of snapshots comes nearest to the p of any other length, and the same sum of the snapshots
nearest to its average: it is known after training.

Snapshots are rounded, and a sum of nearly equal ones, with large coefficients of both signs, is
mostly that. So the least squares here count the rounding error of the sum as well,

    |sum_i c_i p_i - p|^2 / |p|^2 + (ROUNDING |c|)^2,                                           (3)

which changes nothing where coefficients are of the order of 1.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

ROUNDING = 1e-6  # of an average that float32 tracked, over its size
LARGEST = 0.28  # sigma_rel: at 12^(-1/2) = 0.2887 gamma is 0


class Combination(NamedTuple):
    """An average as a sum of snapshots.

    Attributes:
        coefficients: of each snapshot, [snapshots].
        error: the root of equation (3): the distance of the profile that comes out from the one
            that was wanted, over the size of that, in L2, which is the error to expect where
            parameters change by independent steps; and what rounding adds.
    """

    coefficients: np.ndarray
    error: float


def exponent(sigma_rel: float) -> float:
    """gamma of a length: the largest root of equation (2)."""
    t = float(sigma_rel) ** -2
    return float(np.roots([1, 7, 16 - t, 12 - t]).real.max())


def length(gamma: float) -> float:
    """sigma_rel of a gamma, equation (2)."""
    return (gamma + 1) ** 0.5 / ((gamma + 2) * (gamma + 3) ** 0.5)


def weight(gamma: float, step: jax.Array) -> jax.Array:
    """1 - beta_t of the module's docstring, precise where it is small.

    Args:
        gamma: the exponent.
        step: t, at least 1, any shape; at 1 the average is the parameters.
    """
    return -jnp.expm1((gamma + 1) * jnp.log1p(-1 / step))


def correlation(
    steps: np.ndarray, gammas: np.ndarray, other_steps: np.ndarray, other_gammas: np.ndarray
) -> np.ndarray:
    """The integral of p_a(t) p_b(t) dt over all t, of each pair; broadcasts.

    Karras et al. 2023, Appendix C: (a + 1) (b + 1) / (a + b + 1) / T_max times (T_min / T_max) to
    the exponent of the later one.
    """
    low, high = np.minimum(steps, other_steps), np.maximum(steps, other_steps)
    later = np.where(steps < other_steps, other_gammas, gammas)
    factor = (gammas + 1) * (other_gammas + 1) / (gammas + other_gammas + 1)
    return factor * (low / high) ** later / high


def combine(steps: np.ndarray, lengths: np.ndarray, step: float, sigma_rel: float) -> Combination:
    """The sum of snapshots that comes nearest to an average, by equation (3).

    Args:
        steps: of the snapshots, [snapshots].
        lengths: their sigma_rel, [snapshots].
        step: of the average that is wanted.
        sigma_rel: its length.
    """
    steps = np.asarray(steps, np.float64)
    gammas = np.array([exponent(one) for one in lengths])
    gamma = exponent(sigma_rel)
    pairs = correlation(steps[:, None], gammas[:, None], steps[None], gammas[None])
    wanted = correlation(steps, gammas, np.float64(step), np.float64(gamma))
    size = correlation(np.float64(step), np.float64(gamma), np.float64(step), np.float64(gamma))
    found = np.linalg.solve(pairs + size * ROUNDING**2 * np.eye(len(steps)), wanted)
    found /= found.sum()  # parameters that do not change are to stay as they are
    squared = max(size - 2 * found @ wanted + found @ pairs @ found, 0) / size
    return Combination(found, float(np.sqrt(squared + ROUNDING**2 * found @ found)))
