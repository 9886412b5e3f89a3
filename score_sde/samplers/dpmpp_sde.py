"""DPM-Solver++ (SDE): the two-stage solver of the reverse SDE that k-diffusion has."""

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
from score_sde.values import above, between


@dataclasses.dataclass(frozen=True)
class DPMppSDE(FixedStep):
    """Two predictions a step, each with noise, the second a share r of the step on in log SNR.

    With u = sigma / alpha, u_m = u_t^(1 - r) u_s^r, and the first-order steps (a, c, n) of DDIM

        x_m = a_m x_t + c_m x0_t + n_m z_m
        x_s = a_s x_t + c_s ((1 - 1 / (2 r)) x0_t + 1 / (2 r) x0_m) + n_s z_s

    z_m and z_s are increments of one Brownian motion in u, from u_t to u_m and from u_t to u_s:
    z_s = w z_m + sqrt(1 - w^2) z with w^2 = (u_t - u_m) / (u_t - u_s), and z_m is taken from x_m.
    So it converges to the reverse SDE with weak order 2 for eta = 1 on a Gaussian; were the two
    independent, with order 1. eta = 0 is of order 2 for the ODE, and r = 1/2 then DPM-Solver++(2S)
    (Lu et al. 2022, arXiv 2211.01095, Algorithm 1). From alpha = 0, infinitely far in log SNR, the
    step is of first order, with one evaluation.

    Attributes:
        eta: the share of the noise, of both steps.
        r: where in the step, in log SNR, the second evaluation is.
    """

    eta: Annotated[float, between(0, 1)] = 1.0
    r: Annotated[float, above(0, at_most=1)] = 0.5

    def rows(self, points: Points, sde: SDE) -> Iterator[Row]:
        """See FixedStep."""
        share = 1 / (2 * self.r)
        for t, s in itertools.pairwise(points):
            whole = first_order(t, s, self.eta)
            if not t.alpha:
                yield whole
                continue
            m = Points.at_ratio(sde, t.ratio ** (1 - self.r) * s.ratio**self.r)
            part = first_order(t, m, self.eta)
            (a_m,), (c_m,), (a_s,), (c_s,) = *part[1:3], *whole[1:3]
            w = np.sqrt((t.ratio - m.ratio) / (t.ratio - s.ratio))
            k = w * whole.noise / part.noise if self.eta else 0.0
            yield part
            yield Row(
                m.t,
                (k, a_s - k * a_m),
                (share * c_s, (1 - share) * c_s - k * c_m),
                np.sqrt(1 - w**2) * whole.noise,
                inner=True,
            )
