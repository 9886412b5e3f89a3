"""DDIM, and the ancestral sampler of DDPM (Song et al. 2020, arXiv 2010.02502, equation 12)."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from typing import Annotated

from score_sde.processes import SDE
from score_sde.samplers.fixed_step import FixedStep
from score_sde.samplers.points import Points
from score_sde.samplers.steps import first_order
from score_sde.samplers.table import Row
from score_sde.values import between


@dataclasses.dataclass(frozen=True)
class DDIM(FixedStep):
    """The first-order step, with any share of the noise of DDPM.

        x_s = alpha_s x0 + sqrt(sigma_s^2 - n^2) eps + n z,    n = steps.noise_added(t, s, eta)

    eta = 0 follows the probability-flow ODE to first order, whose Euler step in sigma / alpha it
    is; eta = 1 is DDPM's ancestral sampler (Ho et al. 2020, arXiv 2006.11239, Algorithm 2), also
    known as Euler ancestral, and converges to the reverse SDE with weak order 1.

    Attributes:
        eta: the share of the noise.
    """

    eta: Annotated[float, between(0, 1)] = 0.0

    def rows(self, points: Points, sde: SDE) -> Iterator[Row]:
        """See FixedStep."""
        for t, s in itertools.pairwise(points):
            yield first_order(t, s, self.eta)
