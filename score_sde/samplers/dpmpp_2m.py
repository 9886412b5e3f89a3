"""DPM-Solver++(2M) (Lu et al. 2022, arXiv 2211.01095, Algorithm 2)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

from score_sde.processes import SDE
from score_sde.samplers.fixed_step import FixedStep
from score_sde.samplers.points import Points
from score_sde.samplers.table import Row


@dataclasses.dataclass(frozen=True)
class DPMpp2M(FixedStep):
    """Two predictions a step, the older one from the step before; order 2 for the ODE.

        x_s = (sigma_s / sigma_t) x_t - alpha_s (e^{-h} - 1) D,    h = lambda_s - lambda_t,
        D = (1 + 1 / (2 r)) x0_t - 1 / (2 r) x0_{t'},              r = (lambda_t - lambda_t') / h

    with t' the time before t. The first step is of order 1 (D = x0_t), and so are the last steps
    if lower_order_final says so.
    """

    def rows(self, points: Points, sde: SDE) -> Iterator[Row]:
        """See FixedStep."""
        h = np.diff(points.lam)
        for i in range(len(points) - 1):
            t, s = points[i], points[i + 1]
            c = -s.alpha * np.expm1(-h[i])
            older = h[i] / (2 * h[i - 1]) if self.order_at(i, points, 2) == 2 else 0.0
            yield Row(t.t, (s.sigma / t.sigma,), (c * (1 + older), -c * older)[: i + 1])
