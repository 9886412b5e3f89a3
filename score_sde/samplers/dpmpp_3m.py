"""DPM-Solver++(3M), as published (Lu et al. 2022, arXiv 2211.01095) and corrected."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

from score_sde.processes import SDE
from score_sde.samplers import adams, dpmpp_2m
from score_sde.samplers.fixed_step import FixedStep
from score_sde.samplers.points import Points
from score_sde.samplers.table import Row


def published(nodes: np.ndarray, end: float, rate: float) -> np.ndarray:
    """W of equation (3) of adams.py with half of the second derivative, nodes [3] newest first.

    The polynomial through D_0, D_1, D_2 is D_0 + D' (lambda - lambda_t) + Q (lambda - lambda_t)^2
    with Q the second divided difference, half the second derivative. The published formulas put Q
    for the second derivative, so Q / 2 here.
    """
    q = np.array([1 / np.prod(node - np.delete(nodes, j)) for j, node in enumerate(nodes)])
    return adams.integral(
        lambda u: adams.lagrange(nodes, u) - np.outer(q / 2, (u - nodes[0]) ** 2),
        nodes[0],
        end,
        rate,
    )


@dataclasses.dataclass(frozen=True)
class DPMpp3M(FixedStep):
    """Three predictions a step, the two older ones from the steps before.

        x_s = (sigma_s / sigma_t) x_t + alpha_s (phi_1 D_0 + phi_2 D_1 + phi_3 D_2),
        phi_1 = 1 - e^{-h},    phi_2 = (e^{-h} - 1) / h + 1,    phi_3 = 1/2 - phi_2 / h

    with D_0 = x0_t, and D_1 and D_2 the first and second derivative h x0', h^2 x0'' from the last
    three predictions by divided differences: the quadratic through them, integrated exactly. For
    the ODE that is of order 3. The published formula has half of that D_2, (D1_0 - D1_1) /
    (r_0 + r_1), and is of order 2. The first steps are those of dpmpp_2m.

    Attributes:
        corrected: False for the formula as published.
    """

    corrected: bool = True

    def rows(self, points: Points, sde: SDE) -> Iterator[Row]:
        """See FixedStep."""
        for i in range(len(points) - 1):
            order, end = self.order_at(i, points, 3), points.lam[i + 1]
            nodes = adams.behind(points.lam, i, order)
            if len(nodes) < 3:
                weights = dpmpp_2m.weights(points, i, len(nodes), 1.0, "midpoint")
            elif self.corrected:
                weights = adams.exponential(nodes, nodes[0], end)
            else:
                weights = published(nodes, end, 1.0)
            yield adams.x0_row(points[i], points[i + 1], weights)
