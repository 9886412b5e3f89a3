"""Heun's method for the probability flow (Karras et al. 2022, arXiv 2206.00364, Algorithm 1)."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from typing import ClassVar

from score_sde.processes import SDE
from score_sde.samplers.fixed_step import FixedStep
from score_sde.samplers.points import Points
from score_sde.samplers.steps import two_stages
from score_sde.samplers.table import EPS, Row


def heun(t: Points, s: Points) -> Iterator[Row]:
    """Heun's step from t to s: the mean of eps at both ends, at s where Euler's step leads."""
    return two_stages(t, s, s, 0.5)


@dataclasses.dataclass(frozen=True)
class Heun(FixedStep):
    """Two evaluations a step, at its ends; y = x / alpha over u = sigma / alpha.

        y' = y_t + (u_s - u_t) eps(y_t, t)
        y_s = y_t + (u_s - u_t) (eps(y_t, t) + eps(y', s)) / 2

    Order 2 for the ODE. The final step to sigma = 0 has no second stage, which would divide by 0:
    it is the prediction E[x_0 | x], as published. steps times cost 2 steps - 1 evaluations.
    """

    PREDICTS: ClassVar[str] = EPS

    def rows(self, points: Points, sde: SDE) -> Iterator[Row]:
        """See FixedStep."""
        for t, s in itertools.pairwise(points):
            yield from heun(t, s)
