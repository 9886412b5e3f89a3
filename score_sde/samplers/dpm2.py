"""DPM-Solver-2 in the EDM frame."""

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
class DPM2(FixedStep):
    """Two evaluations a step, the second at a geometric mean; y = x / alpha over u = sigma / alpha.

        y_m = y_t + (u_m - u_t) eps(y_t, t),    u_m = u_t^(1 - r) u_s^r
        y_s = y_t + (u_s - u_t) ((1 - 1 / (2 r)) eps(y_t, t) + 1 / (2 r) eps(y_m, m))

    Order 2 for the ODE (Lu et al. 2022, arXiv 2206.00927, Algorithms 1 and 4, r1 = r, with the
    weight 1 / (2 r) of both ends of the step; Karras et al. 2022, arXiv 2206.00364, Section 3).

    Attributes:
        r: where in the step, in log SNR, the second evaluation is.
    """

    PREDICTS: ClassVar[str] = EPS

    r: Annotated[float, above(0, at_most=1)] = 0.5

    def rows(self, points: Points, sde: SDE) -> Iterator[Row]:
        """See FixedStep."""
        for t, s in itertools.pairwise(points):
            m = Points.at_ratio(sde, t.ratio ** (1 - self.r) * s.ratio**self.r)
            yield from two_stages(t, m, s, 1 / (2 * self.r))
