"""The stochastic sampler of EDM (Karras et al. 2022, arXiv 2206.00364, Algorithm 2)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from score_sde.processes import SDE
from score_sde.samplers.fixed_step import FixedStep
from score_sde.samplers.heun import heun
from score_sde.samplers.points import Points
from score_sde.samplers.steps import noised
from score_sde.samplers.table import EPS, Row
from score_sde.values import NotNegative


@dataclasses.dataclass(frozen=True)
class EDMStochastic(FixedStep):
    """Heun's steps, before each of which the noise level is raised by fresh noise ("churn").

    With u = sigma / alpha and y = x / alpha, where churn_min <= u_t <= churn_max,

        u_h = (1 + g) u_t,    g = min(churn / N, sqrt(2) - 1),    N the number of steps,
        y_h = y_t + churn_noise sqrt(u_h^2 - u_t^2) z,    then Heun's step from h to s

    churn = 0 is Heun's method, of order 2 for the ODE. For growing N the samples of each churn have
    the marginals of the process if churn_noise = 1, with order 2 (more noise inflates them).

    Two things differ from the published code, if churn_max is not below the first noise level: u_h
    is at most that of t_max, for a model knows nothing of more noise; and there is no churn before
    the first step, whose x is nothing but fresh noise.

    Attributes:
        churn: how much noise is added, over all steps.
        churn_min: the lowest noise level, sigma / alpha, at which it is.
        churn_max: the highest.
        churn_noise: the standard deviation of z.
    """

    PREDICTS: ClassVar[str] = EPS

    churn: NotNegative = 0.0
    churn_min: NotNegative = 0.0
    churn_max: NotNegative = 1e9
    churn_noise: NotNegative = 1.0

    def evaluated(self, points: Points, sde: SDE) -> Points:
        """See FixedStep: where the churn leads."""
        tweedie = self.denoise_final == "tweedie"
        gain = 1 + min(self.churn / (len(points) - 1 + tweedie), np.sqrt(2) - 1)
        raised = np.minimum(gain * points.ratio, Points.at(sde, sde.t_max).ratio)
        churned = (self.churn_min <= points.ratio) & (points.ratio <= self.churn_max)
        churned &= raised > points.ratio
        churned[0] = False
        churned[-1] &= tweedie
        return Points.at(sde, np.where(churned, Points.at_ratio(sde, raised).t, points.t))

    def rows(self, points: Points, sde: SDE) -> Iterator[Row]:
        """See FixedStep."""
        raised = self.evaluated(points, sde)
        for i in range(1, len(points)):
            first, second = heun(raised[i - 1], points[i])
            yield first
            yield noised(second, points[i], raised[i], self.churn_noise)
