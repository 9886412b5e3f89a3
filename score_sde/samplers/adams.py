r"""Adams steps: integrals of the polynomial through the predictions behind a step.

In both frames of table.py a step from t to s integrates D over a variable, and a multistep method
puts there the polynomial through the newest predictions (Lagrange's L_j, 1 at the j-th of them):

    x_s = (sigma_s / sigma_t) x_t + alpha_s sum_j W_j x0_j,
    W_j = int L_j(lambda) e^(lambda - lambda_s) dlambda;                                       (1)
    x_s = (alpha_s / alpha_t) x_t + alpha_s sum_j w_j eps_j,    w_j = int L_j d(sigma / alpha). (2)

The reverse SDE that adds the noise of `eta` instead of none (sqrt(eta) is the tau of Xue et al.
2023, arXiv 2309.05019, and it is the eta of k-diffusion's SDE solvers) has

    x_s = (sigma_s / sigma_t) e^(-eta h) x_t + alpha_s sum_j W_j x0_j + n z,
    W_j = int L_j(lambda) r e^(r (lambda - lambda_s)) dlambda,    r = 1 + eta,                 (3)

h = lambda_s - lambda_t, n = sigma_s sqrt(1 - e^(-2 eta h)); (1) is its r = 1, and r = -1 gives the
weights of (2) times alpha_s / sigma_s. The integrals are Gauss and Legendre's, as exact as float64.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np

from score_sde.samplers.points import Points
from score_sde.samplers.table import Row

# Weights of Adams and Bashforth on equal steps, newest first, by order.
EQUAL_STEPS = {
    1: np.array([1.0]),
    2: np.array([3, -1]) / 2,
    3: np.array([23, -16, 5]) / 12,
    4: np.array([55, -59, 37, -9]) / 24,
}
MOST_NOISE = 100  # times that of the reverse SDE; panels shorten with it
_GONE = 745.0  # e^-745 is the smallest number of float64
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(24)  # of a panel at most 1 long


def behind(variable: np.ndarray, step: int, number: int) -> np.ndarray:
    """A variable at the point where a step begins and those before it, newest first.

    Args:
        variable: of every point, [n].
        step: the number of the point.
        number: how many at most. One that is infinitely far, alpha = 0 there, has no weight: it is
            left out, unless it is the first.
    """
    nodes = variable[: step + 1][::-1][:number]
    return nodes[np.isfinite(nodes) | (np.arange(len(nodes)) == 0)]


def lagrange(nodes: np.ndarray, u: np.ndarray) -> np.ndarray:
    """The polynomials that are 1 at one of the nodes [K] and 0 at the others, at u [Q]: [K, Q]."""
    one = np.eye(len(nodes), dtype=bool)[:, :, None]  # a node is no factor of its own polynomial
    behind, apart = u - nodes[:, None], nodes[:, None, None] - nodes[:, None]
    return (np.where(one, 1.0, behind) / np.where(one, 1.0, apart)).prod(axis=1)


def gauss(ends: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Points and weights [Q] with which a sum is an integral, exact if the integrand is smooth.

    Args:
        ends: of the pieces in which it is, rising or falling, [P + 1].
    """
    pieces = [(a, b, math.ceil(abs(b - a))) for a, b in itertools.pairwise(map(float, ends))]
    cuts = [a + i * ((b - a) / panels) for a, b, panels in pieces for i in range(panels)]
    cuts = np.array([*cuts, ends[-1]])
    middle, half = (cuts[1:] + cuts[:-1]) / 2, (cuts[1:] - cuts[:-1]) / 2
    u = middle[:, None] + half[:, None] * _NODES
    return u.ravel(), (half[:, None] * _WEIGHTS).ravel()


def integral(
    values: Callable[[np.ndarray], np.ndarray], start: float, end: float, rate: float
) -> np.ndarray:
    """int values(lambda) r e^(r (lambda - end)) dlambda from start to end.

    Args:
        values: lambda [Q] -> [..., Q].
        start: lambda_t, finite.
        end: lambda_s.
        rate: r.
    """
    if rate > 0:
        start = max(start, end - _GONE / rate)
    u, w = gauss(np.array([start, end]) * max(1.0, abs(rate)))  # panels as short as it changes
    u, w = u / max(1.0, abs(rate)), w / max(1.0, abs(rate))
    return values(u) @ (w * rate * np.exp(rate * (u - end)))


def exponential(nodes: np.ndarray, start: float, end: float, rate: float = 1.0) -> np.ndarray:
    """W of (3) for the predictions at these nodes, [K] both; start may be -inf for K = 1."""
    if len(nodes) == 1:
        return np.array([-np.expm1(-rate * (end - start))])
    return integral(lambda u: lagrange(nodes, u), start, end, rate)


def in_ratio(points: Points, step: int, number: int) -> np.ndarray:
    """w of (2) for the newest predictions, polynomials in sigma / alpha, at most `number`."""
    start, end = points.ratio[step : step + 2]
    u, w = gauss([0.0, 1.0])  # one panel is exact for a polynomial, however long the step
    nodes = behind(points.ratio, step, number)
    return lagrange(nodes, start + (end - start) * u) @ (w * (end - start))


def half(r: float, total: float, b: float) -> np.ndarray:
    """W of two predictions by the weight 1/2 that replaces an integral in published methods.

    total D_t + b (D_r - D_t) / (2 r), with D_r the other one, from r steps after t; equal to (3) up
    to the order of the method. Of D_t and of D_r, [2].
    """
    return np.array([total - b / (2 * r), b / (2 * r)])


def x0_row(t: Points, s: Points, weights: np.ndarray, eta: float = 0.0) -> Row:
    """The row of equation (3), its W given."""
    keep, noise = s.sigma / t.sigma, 0.0
    if eta:  # h is infinite where alpha = 0
        h = s.lam - t.lam
        keep, noise = keep * np.exp(-eta * h), s.sigma * np.sqrt(-np.expm1(-2 * eta * h))
    return Row(t.t, (keep,), s.alpha * weights, noise)


def eps_row(t: Points, s: Points, weights: np.ndarray) -> Row:
    """The row of equation (2), its w given."""
    return Row(t.t, (s.alpha / t.alpha,), s.alpha * weights)
