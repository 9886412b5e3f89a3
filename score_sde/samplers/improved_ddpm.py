"""DDPM's ancestral sampler with the variance that the model has learnt."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from typing import ClassVar

import numpy as np

from score_sde.processes import SDE
from score_sde.samplers.fixed_step import FixedStep
from score_sde.samplers.points import Points
from score_sde.samplers.steps import first_order
from score_sde.samplers.table import Row


@dataclasses.dataclass(frozen=True)
class ImprovedDDPM(FixedStep):
    """The step of ddim with eta = 1, and noise between the bounds of its variance, as a model says.

    The variance of the step from t to s is exp(v log max + (1 - v) log min) for each number of the
    state, with max that of the forward step x_t = A x_s + sqrt(max) z, A = alpha_t / alpha_s, and
    min = max sigma_s^2 / sigma_t^2 that of p(x_s | x_t, x_0) (Nichol and Dhariwal 2021, arXiv
    2102.09672, Section 3.1). It is for denoisers of networks that have learnt v.
    """

    NEEDS_VARIANCE: ClassVar[bool] = True

    def rows(self, points: Points, sde: SDE) -> Iterator[Row]:
        """See FixedStep."""
        for t, s in itertools.pairwise(points):
            # sqrt(min) exp(v log(sigma_t / sigma_s)) is the standard deviation above.
            yield first_order(t, s, 1.0)._replace(spread=float(np.log(t.sigma / s.sigma)))
