"""DPM-Solver++(2S) (Lu et al. 2022, arXiv 2211.01095, Algorithm 1), and with ancestral noise."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from typing import Annotated

import numpy as np

from score_sde.processes import SDE
from score_sde.samplers.fixed_step import FixedStep
from score_sde.samplers.points import Points
from score_sde.samplers.steps import first_order
from score_sde.samplers.table import Row
from score_sde.values import between


@dataclasses.dataclass(frozen=True)
class DPMpp2S(FixedStep):
    """Two predictions a step, the second in the middle of it in log SNR.

    With u = sigma / alpha, the first-order step from t to u_m = sqrt(u_t u_d) gives x_m, and

        x_s = sqrt(sigma_s^2 - n^2) / sigma_t x_t + alpha_s (1 - u_d / u_t) x0(x_m, m) + n z,
        u_d = sqrt(sigma_s^2 - n^2) / alpha_s,    n = steps.noise_added(t, s, eta)

    eta = 0 is of order 2 for the ODE. With noise the step ends at the lower level u_d and goes
    forward to u_s, which converges to the reverse SDE with weak order 2 for eta = 1 on a Gaussian.
    From alpha = 0, infinitely far in log SNR, the step is of first order, with one evaluation.

    Attributes:
        eta: the share of the noise.
    """

    eta: Annotated[float, between(0, 1)] = 0.0

    def rows(self, points: Points, sde: SDE) -> Iterator[Row]:
        """See FixedStep."""
        for t, s in itertools.pairwise(points):
            whole = first_order(t, s, self.eta)
            if not t.alpha:
                yield whole
                continue
            down = whole.states[0] * t.sigma / s.alpha
            m = Points.at_ratio(sde, np.sqrt(t.ratio * down))
            yield first_order(t, m)
            yield whole._replace(t=m.t, states=(0.0, *whole.states), inner=True)
