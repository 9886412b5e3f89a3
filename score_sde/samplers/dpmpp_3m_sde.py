"""DPM-Solver++(3M) for the reverse SDE, as in k-diffusion (Crowson; no paper of its own)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Annotated

from score_sde.processes import SDE
from score_sde.samplers import adams, dpmpp_2m
from score_sde.samplers.dpmpp_3m import published
from score_sde.samplers.fixed_step import FixedStep
from score_sde.samplers.points import Points
from score_sde.samplers.table import Row
from score_sde.values import between


@dataclasses.dataclass(frozen=True)
class DPMpp3MSDE(FixedStep):
    """Three predictions a step, and noise; for the reverse SDE of noise `eta`, weak order 2.

        x_s = (sigma_s / sigma_t) e^{-eta h} x_t + alpha_s (phi_1 D_0 + phi_2 D_1 + phi_3 D_2)
              + sigma_s sqrt(1 - e^{-2 eta h}) z

    with phi_k of dpmpp_3m at (1 + eta) h (Lu et al. 2022, arXiv 2211.01095, for eta = 0) and its
    D_k as published: with noise the whole D_2 does not raise the order. The second step is that of
    dpmpp_2m_sde, variant "heun". (The order is that of the mean and the variance on Gaussian data.)

    Attributes:
        eta: how much noise; 1 for the reverse SDE of Song et al. 2021.
    """

    eta: Annotated[float, between(0, adams.MOST_NOISE)] = 1.0

    def rows(self, points: Points, sde: SDE) -> Iterator[Row]:
        """See FixedStep."""
        rate = 1 + self.eta
        for i in range(len(points) - 1):
            nodes = adams.behind(points.lam, i, self.order_at(i, points, 3))
            if len(nodes) < 3:
                weights = dpmpp_2m.weights(points, i, len(nodes), rate, "heun")
            else:
                weights = published(nodes, points.lam[i + 1], rate)
            yield adams.x0_row(points[i], points[i + 1], weights, self.eta)
