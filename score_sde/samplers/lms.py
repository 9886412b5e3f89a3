"""The linear multistep sampler of k-diffusion, LMS (Crowson; no paper of its own)."""

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
class LMS(FixedStep):
    """Adams and Bashforth's step in sigma / alpha, with the exact weights of unequal steps.

        x_s = (alpha_s / alpha_t) x_t + alpha_s sum_j w_j eps_j,    w_j = int L_j d(sigma / alpha)

    over the `order` newest predictions. It is rhoAB of DEIS (Zhang and Chen 2022, arXiv 2204.13902)
    of degree `order` - 1, and solves the ODE to order `order`.

    Attributes:
        order: how many predictions a step weighs; the first steps have fewer.
    """

    PREDICTS: ClassVar[str] = EPS

    order: Annotated[int, between(1, 4)] = 4

    def rows(self, points: Points, sde: SDE) -> Iterator[Row]:
        """See FixedStep."""
        for i in range(len(points) - 1):
            weights = adams.in_ratio(points, i, self.order_at(i, points, self.order))
            yield adams.eps_row(points[i], points[i + 1], weights)
