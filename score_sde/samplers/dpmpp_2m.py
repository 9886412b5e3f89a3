"""DPM-Solver++(2M) (Lu et al. 2022, arXiv 2211.01095, Algorithm 2)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Annotated

import numpy as np

from score_sde.processes import SDE
from score_sde.samplers import adams
from score_sde.samplers.fixed_step import FixedStep
from score_sde.samplers.points import Points
from score_sde.samplers.table import Row
from score_sde.values import one_of

VARIANTS = ("midpoint", "heun")


def weights(points: Points, step: int, order: int, rate: float, variant: str) -> np.ndarray:
    """W of equation (3) of adams.py, order 1 or 2, for a step from points[step] to the next."""
    start, end = points.lam[step : step + 2]
    nodes = adams.behind(points.lam, step, order)
    if len(nodes) == 1 or variant == "heun":
        return adams.exponential(nodes, start, end, rate)
    total = -np.expm1(-rate * (end - start))
    return adams.half((nodes[1] - start) / (end - start), total, total)


@dataclasses.dataclass(frozen=True)
class DPMpp2M(FixedStep):
    """Two predictions a step, the older one from the step before; order 2 for the ODE.

        x_s = (sigma_s / sigma_t) x_t - alpha_s (e^{-h} - 1) D,    h = lambda_s - lambda_t,
        D = (1 + 1 / (2 r)) x0_t - 1 / (2 r) x0_{t'},              r = (lambda_t - lambda_t') / h

    with t' the time before t. The first step is of order 1 (D = x0_t), and so are the last steps
    if lower_order_final says so.

    Attributes:
        variant: "midpoint", as above, or "heun", which integrates the line through both exactly:
            alpha_s (e^{-h} - 1 + h) / h in place of the half of alpha_s (1 - e^{-h}).
    """

    variant: Annotated[str, one_of(VARIANTS)] = "midpoint"

    def rows(self, points: Points, sde: SDE) -> Iterator[Row]:
        """See FixedStep."""
        for i in range(len(points) - 1):
            order = self.order_at(i, points, 2)
            yield adams.x0_row(
                points[i], points[i + 1], weights(points, i, order, 1.0, self.variant)
            )
