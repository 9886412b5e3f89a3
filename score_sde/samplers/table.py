r"""Fixed-step solvers as tables: one evaluation of the denoiser and one linear update a row.

Row r evaluates the denoiser at the state x_r and the time t_r, and takes of its Prediction one
thing D_r, x0 or eps. Then

    x_{r+1} = sum_j a_rj x_{r-j} + sum_j c_rj D_{r-j} + n_r z_r,    z_r ~ N(0, I).             (1)

Where a model has learnt the variance of its steps, n_r is multiplied by a function of what it says.

A multistep method weighs the D of earlier rows; a method with inner stages has a row for each, and
its later stages weigh the states of earlier rows. The coefficients depend on the process and the
time grid alone: they are computed once, on the host, in float64.

Both kinds of D have a frame in which the probability-flow ODE is an integral of D alone, and from
there the solvers take their formulas (alpha, sigma, lambda = log(alpha / sigma)):

    d(x / sigma) / d(alpha / sigma) = x0,    so  x_s = (sigma_s / sigma_t) x_t
                                                     + sigma_s int e^lambda x0 dlambda,         (2)
    d(x / alpha) / d(sigma / alpha) = eps,   so  x_s = (alpha_s / alpha_t) x_t
                                                     + alpha_s int eps d(sigma / alpha).        (3)

(Lu et al. 2022, arXiv 2211.01095, Proposition 4.1; Zhang and Chen 2022, arXiv 2204.13902). (2) is
finite where alpha = 0, and (3) where sigma = 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

X0, EPS = "x0", "eps"  # what D is: a field of Prediction


class Row(NamedTuple):
    """A row (1), as a solver gives it.

    Attributes:
        t: the time of the evaluation.
        states: weights a of x_r, x_{r-1}, ...
        predictions: weights c of D_r, D_{r-1}, ...
        noise: n.
        inner: whether the evaluation is at an inner stage of a step.
        spread: of a learned variance: n is multiplied by exp(spread v) with the v of
            prediction.with_variance.
    """

    t: float | np.ndarray
    states: Sequence[float]
    predictions: Sequence[float]
    noise: float | np.ndarray = 0.0
    inner: bool = False
    spread: float = 0.0


class Table(NamedTuple):
    """All rows of a solver; float64 NumPy.

    Attributes:
        predicts: what D is, X0 or EPS.
        t: times, [R].
        states: a, [R, J]; J is how many states a row weighs at most.
        predictions: c, [R, K].
        noise: n, [R].
        inner: whether a row is an inner stage, [R].
        spread: of a learned variance, [R]; None if no row has one.
    """

    predicts: str
    t: np.ndarray
    states: np.ndarray
    predictions: np.ndarray
    noise: np.ndarray
    inner: np.ndarray
    spread: np.ndarray | None = None

    @property
    def deterministic(self) -> bool:
        """Whether it adds no noise."""
        return not self.noise.any()


def of_rows(predicts: str, rows: Sequence[Row]) -> Table:
    """The table of these rows, in their order.

    Args:
        predicts: what D is, X0 or EPS.
        rows: at least one; row r weighs at most r + 1 states and r + 1 predictions.
    """
    for number, row in enumerate(rows):
        if max(len(row.states), len(row.predictions)) > number + 1:
            raise ValueError(f"row {number} weighs what there is not yet")
    return Table(
        predicts,
        np.array([row.t for row in rows]),
        _padded([row.states for row in rows]),
        _padded([row.predictions for row in rows]),
        np.array([row.noise for row in rows]),
        np.array([row.inner for row in rows]),
        np.array([row.spread for row in rows]) if any(row.spread for row in rows) else None,
    )


def _padded(weights: Sequence[Sequence[float]]) -> np.ndarray:
    """Weights of unequal number as one array, zeros at the end."""
    padded = np.zeros((len(weights), max(map(len, weights))))
    for row, values in zip(padded, weights, strict=True):
        row[: len(values)] = values
    return padded
