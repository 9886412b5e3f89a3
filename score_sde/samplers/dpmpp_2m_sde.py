"""SDE-DPM-Solver++(2M) (Lu et al. 2022, arXiv 2211.01095); its eta is k-diffusion's."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Annotated

from score_sde.processes import SDE
from score_sde.samplers import adams
from score_sde.samplers.dpmpp_2m import VARIANTS, weights
from score_sde.samplers.fixed_step import FixedStep
from score_sde.samplers.points import Points
from score_sde.samplers.table import Row
from score_sde.values import between, one_of


@dataclasses.dataclass(frozen=True)
class DPMpp2MSDE(FixedStep):
    """Two predictions a step, and noise; for the reverse SDE of noise `eta`, weak order 2.

        x_s = (sigma_s / sigma_t) e^{-eta h} x_t + alpha_s (1 - e^{-(1 + eta) h}) D
              + sigma_s sqrt(1 - e^{-2 eta h}) z

    with h and D of dpmpp_2m, which eta = 0 is. (The order is that of the mean and the variance on
    Gaussian data.)

    Attributes:
        eta: how much noise; 1 for the reverse SDE of Song et al. 2021.
        variant: see DPMpp2M.
    """

    eta: Annotated[float, between(0, adams.MOST_NOISE)] = 1.0
    variant: Annotated[str, one_of(VARIANTS)] = "midpoint"

    def rows(self, points: Points, sde: SDE) -> Iterator[Row]:
        """See FixedStep."""
        for i in range(len(points) - 1):
            order = self.order_at(i, points, 2)
            found = weights(points, i, order, 1 + self.eta, self.variant)
            yield adams.x0_row(points[i], points[i + 1], found, self.eta)
