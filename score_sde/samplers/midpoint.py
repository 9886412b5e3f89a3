"""The midpoint method for the probability flow, and the two-stage methods beside it."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from typing import Annotated, ClassVar

from score_sde.processes import SDE
from score_sde.samplers.fixed_step import FixedStep
from score_sde.samplers.points import Points
from score_sde.samplers.steps import two_stages
from score_sde.samplers.table import EPS, Row
from score_sde.values import above


@dataclasses.dataclass(frozen=True)
class Midpoint(FixedStep):
    """Two evaluations a step, the second a share r of it on; y = x / alpha over u = sigma / alpha.

        y_m = y_t + (u_m - u_t) eps(y_t, t),    u_m = u_t + r (u_s - u_t)
        y_s = y_t + (u_s - u_t) ((1 - 1 / (2 r)) eps(y_t, t) + 1 / (2 r) eps(y_m, m))

    Order 2 for the ODE, for every r (Karras et al. 2022, arXiv 2206.00364, Algorithm 3, where r is
    alpha): 1/2 is the midpoint method, 1 Heun's, 2/3 Ralston's.

    Attributes:
        r: where in the step the second evaluation is.
    """

    PREDICTS: ClassVar[str] = EPS

    r: Annotated[float, above(0, at_most=1)] = 0.5

    def rows(self, points: Points, sde: SDE) -> Iterator[Row]:
        """See FixedStep."""
        for t, s in itertools.pairwise(points):
            m = Points.at_ratio(sde, t.ratio + self.r * (s.ratio - t.ratio))
            yield from two_stages(t, m, s, 1 / (2 * self.r))
