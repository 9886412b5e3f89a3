"""DDIM, and the ancestral sampler of DDPM (Song et al. 2020, arXiv 2010.02502, equation 12)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Annotated

import numpy as np

from score_sde.processes import SDE
from score_sde.samplers.fixed_step import FixedStep
from score_sde.samplers.points import Points
from score_sde.samplers.table import Row
from score_sde.values import between


def noise_added(t: Points, s: Points, eta: float) -> float:
    """The standard deviation of the noise that an ancestral step from t to s adds to x_s.

    eta times that of p(x_s | x_t, x_0), sigma_s sqrt(1 - (sigma/alpha)_s^2 / (sigma/alpha)_t^2)
    (equation 16 there), and at most sigma_s.
    """
    return min(s.sigma, eta * s.sigma * np.sqrt(-np.expm1(2 * (t.lam - s.lam))))


@dataclasses.dataclass(frozen=True)
class DDIM(FixedStep):
    """The first-order step, with any share of the noise of DDPM.

        x_s = alpha_s x0 + sqrt(sigma_s^2 - n^2) eps + n z,    n = noise_added(t, s, eta)

    eta = 0 follows the probability-flow ODE to first order, whose Euler step in sigma / alpha it
    is; eta = 1 is DDPM's ancestral sampler (Ho et al. 2020, arXiv 2006.11239, Algorithm 2), also
    known as Euler ancestral, and converges to the reverse SDE with weak order 1.

    Attributes:
        eta: the share of the noise.
    """

    eta: Annotated[float, between(0, 1)] = 0.0

    def rows(self, points: Points, sde: SDE) -> Iterator[Row]:
        """See FixedStep."""
        for i in range(len(points) - 1):
            t, s = points[i], points[i + 1]
            n = noise_added(t, s, self.eta) if self.eta else 0.0
            a = np.sqrt(s.sigma**2 - n**2) / t.sigma
            yield Row(t.t, (a,), (s.alpha - a * t.alpha,), n)
