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
from score_sde.values import between, one_of

V = "v"


@dataclasses.dataclass(frozen=True)
class PLMS(FixedStep):
    """iPNDM whose first step is Heun's, which evaluates the second time twice.

        x' = step(eps(x_0, t_0)),    x_1 = step((eps(x', t_1) + eps(x_0, t_0)) / 2),

    then as ipndm, with the step of the same name,

        step(e) = (alpha_s / alpha_t) x_t + alpha_s (sigma_s / alpha_s - sigma_t / alpha_t) e

    (Liu et al. 2022, arXiv 2202.09778; the start by Rombach et al. 2021, arXiv 2112.10752). It
    makes one evaluation more than `steps`, unless `order` is 1. Order 2 for the ODE on unequal
    steps, as ipndm.

    Of networks that predict v = alpha eps - sigma x0 the released pipelines weigh v in place of
    eps, and step by

        e = (sigma_t x_t + alpha_t sum_j b_j v_j) / (alpha_t^2 + sigma_t^2),

    eps of their mean as if it were of time t: order 1.

    Attributes:
        order: how many predictions a step weighs; the first steps have fewer.
        prediction: what is weighed, "eps" or "v".
    """

    PREDICTS: ClassVar[str] = EPS

    order: Annotated[int, between(1, 4)] = 4
    prediction: Annotated[str, one_of((EPS, V))] = EPS

    def rows(self, points: Points, sde: SDE) -> Iterator[Row]:
        """See FixedStep."""
        asked: list[int] = []  # the points of the evaluations until now, newest first
        for i in range(len(points) - 1):
            t, s = points[i], points[i + 1]
            order = self.order_at(i, points, self.order)
            weights = adams.EQUAL_STEPS[order]
            if self.order > 1 and 0 < i < order:
                weights = np.insert(weights, i, 0.0)  # the prediction at x' is among those behind
            asked.insert(0, i)
            yield self._row(t, s, points[asked[: len(weights)]], weights)
            if i == 0 and self.order > 1:
                asked.insert(0, 1)
                yield self._row(t, s, points[asked], np.full(2, 0.5), since=1)

    def _row(self, t: Points, s: Points, asked: Points, weights: np.ndarray, since: int = 0) -> Row:
        """From the state at t, so many rows ago, to s, by the mean of what was asked there."""
        gained = s.alpha * (s.ratio - t.ratio)
        kept = np.zeros(since + 1 if self.prediction == EPS else max(since + 1, len(weights)))
        kept[since] = s.alpha / t.alpha
        if self.prediction == V:
            norm = asked.alpha**2 + asked.sigma**2
            gained = gained / (t.alpha**2 + t.sigma**2)
            kept[since] += gained * t.sigma
            # v = (norm eps - sigma x) / alpha, with the x of its row
            weights = t.alpha * weights / asked.alpha
            kept[: len(weights)] -= gained * weights * asked.sigma
            weights = weights * norm
        return Row(asked.t[0], kept, gained * weights, inner=bool(since))
