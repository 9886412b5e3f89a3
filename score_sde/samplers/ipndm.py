"""iPNDM (Zhang and Chen 2022, arXiv 2204.13902)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Annotated, ClassVar

from score_sde.processes import SDE
from score_sde.samplers import adams
from score_sde.samplers.fixed_step import FixedStep
from score_sde.samplers.points import Points
from score_sde.samplers.table import EPS, Row
from score_sde.values import between


@dataclasses.dataclass(frozen=True)
class IPNDM(FixedStep):
    """Adams and Bashforth's step in sigma / alpha, with the weights of equal steps.

        x_s = (alpha_s / alpha_t) x_t + alpha_s (rho_s - rho_t) sum_j b_j eps_j

    with rho = sigma / alpha and b = (1), (3, -1) / 2, (23, -16, 5) / 12, (55, -59, 37, -9) / 24:
    the multistep part of PNDM (Liu et al. 2022, arXiv 2202.09778), with lower orders for the first
    steps in place of inner stages. Steps in sigma / alpha are not equal, so it solves the ODE to
    order 2 for every `order` above 1; the exact weights are those of lms.

    Attributes:
        order: how many predictions a step weighs; the first steps have fewer.
    """

    PREDICTS: ClassVar[str] = EPS

    order: Annotated[int, between(1, 4)] = 4

    def rows(self, points: Points, sde: SDE) -> Iterator[Row]:
        """See FixedStep."""
        for i in range(len(points) - 1):
            t, s = points[i], points[i + 1]
            weights = adams.EQUAL_STEPS[self.order_at(i, points, self.order)]
            yield adams.eps_row(t, s, (s.ratio - t.ratio) * weights)
