"""Exact denoisers in NumPy, the accurate ends of their probability flows, and walks along tables.

In y = x / alpha over u = sigma / alpha every process has the same probability flow,

    dy / d log u = y - E[x_0 | y; u],                                                            (1)

from the u of its t_max to that of its t_min.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy.integrate import solve_ivp

from score_sde.processes import SDE
from score_sde.samplers.points import Points
from score_sde.samplers.table import X0, Table

TOLERANCE = 1e-12


@dataclasses.dataclass(frozen=True)
class Data:
    """A mixture of Gaussians of equal weights, N(means_k, std^2 I), and where trajectories start.

    With std = 0 it is a finite data set, and the denoiser that of analytic.empirical.

    Attributes:
        name: what a table calls it.
        measure: of the errors [batch, d], see measure.MEASURES.
        means: [K, d].
        std: of each.
        start: x at t_max of a process whose prior is of standard deviation 1, [batch, d].
    """

    name: str
    measure: str
    means: np.ndarray
    std: float
    start: np.ndarray

    def denoised(self, y: np.ndarray, u: float) -> np.ndarray:
        """E[x_0 | x_0 + u n = y], shape of y [batch, d].

        With v = std^2 + u^2 it is (std^2 y + u^2 sum_k r_k m_k) / v, r_k the softmax of
        -|y - m_k|^2 / (2 v), of which |y|^2 falls out.
        """
        variance = self.std**2 + u**2
        logits = (y @ self.means.T - np.sum(self.means**2, 1) / 2) / variance
        share = np.exp(logits - logits.max(1, keepdims=True))
        mean = share @ self.means / share.sum(1, keepdims=True)
        return (self.std**2 * y + u**2 * mean) / variance

    def ends(self, sde: SDE) -> np.ndarray:
        """x at t_min of the probability flow from `start`, solved to 1e-12; shape of start."""
        first, last = Points.at(sde, sde.t_max), Points.at(sde, sde.t_min)

        def rate(log_u: float, y: np.ndarray) -> np.ndarray:
            y = y.reshape(self.start.shape)
            return (y - self.denoised(y, np.exp(log_u))).ravel()

        start = self.start * sde.prior_std / first.alpha
        span, tolerances = (-first.lam, -last.lam), {"rtol": TOLERANCE, "atol": TOLERANCE}
        solved = solve_ivp(rate, span, start.ravel(), "DOP853", **tolerances)
        assert solved.success, solved.message
        return last.alpha * solved.y[:, -1].reshape(start.shape)

    def walk(self, table: Table, sde: SDE) -> np.ndarray:
        """Where a table without noise leads from `start`, shape of start; see samplers.table."""
        points = Points.at(sde, table.t)
        states, predictions = [self.start * sde.prior_std], []
        for r, point in enumerate(points):
            x0 = self.denoised(states[0] / point.alpha, point.ratio)
            eps = (states[0] - point.alpha * x0) / point.sigma
            predictions = [x0 if table.predicts == X0 else eps, *predictions]
            x = _sum(table.states[r], states) + _sum(table.predictions[r], predictions)
            states = [x, *states][: table.states.shape[1]]
            predictions = predictions[: table.predictions.shape[1]]
        return states[0]


def _sum(weights: np.ndarray, arrays: list[np.ndarray]) -> np.ndarray:
    return sum(weight * array for weight, array in zip(weights, arrays, strict=False))


def bumps() -> Data:
    """The mixture 0.5 N(-1, 0.25^2) + 0.5 N(1, 0.25^2)."""
    start = np.array([-2, -1, -0.3, 0.4, 1.3, 2.2])[:, None]
    return Data("bumps", "max", np.array([[-1.0], [1.0]]), 0.25, start)


def digits(batch: int = 16) -> Data:
    """The 1297 training images of scikit-learn's digits in [-1, 1], themselves all there is."""
    from sklearn.datasets import load_digits

    from score_sde.data.digits import in_test_split

    found = load_digits()
    images = found.data[~in_test_split(found.target)] / 8 - 1
    start = np.random.default_rng(0).standard_normal((batch, images.shape[1]))
    return Data("digits", "median", images, 0.0, start)
