"""PLMS, the pseudo linear multistep method of PNDM as Stable Diffusion has it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Annotated, ClassVar

import numpy as np

from score_sde.processes import SDE
from score_sde.samplers import adams
from score_sde.samplers.fixed_step import FixedStep
from score_sde.samplers.points import Points
from score_sde.samplers.table import EPS, Row
from score_sde.values import between


@dataclasses.dataclass(frozen=True)
class PLMS(FixedStep):
    """iPNDM whose first step is Heun's, which evaluates the second time twice.

        x' = step(eps(x_0, t_0)),    x_1 = step((eps(x', t_1) + eps(x_0, t_0)) / 2),

    then as ipndm, with the step of the same name,

        step(e) = (alpha_s / alpha_t) x_t + alpha_s (sigma_s / alpha_s - sigma_t / alpha_t) e

    (Liu et al. 2022, arXiv 2202.09778; the start by Rombach et al. 2021, arXiv 2112.10752). It
    makes one evaluation more than `steps`, unless `order` is 1. Order 2 for the ODE on unequal
    steps, as ipndm.

    Attributes:
        order: how many predictions a step weighs; the first steps have fewer.
    """

    PREDICTS: ClassVar[str] = EPS

    order: Annotated[int, between(1, 4)] = 4

    def rows(self, points: Points, sde: SDE) -> Iterator[Row]:
        """See FixedStep."""
        for i in range(len(points) - 1):
            t, s = points[i], points[i + 1]
            order = self.order_at(i, points, self.order)
            weights = (s.ratio - t.ratio) * adams.EQUAL_STEPS[order]
            if self.order > 1 and 0 < i < order:
                weights = np.insert(weights, i, 0.0)  # the prediction at x' is among those behind
            yield adams.eps_row(t, s, weights)
            if i == 0 and self.order > 1:
                once = adams.eps_row(t, s, np.full(2, (s.ratio - t.ratio) / 2))
                yield Row(s.t, (0.0, *once.states), once.predictions, inner=True)
