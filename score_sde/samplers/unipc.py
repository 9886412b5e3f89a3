"""UniPC (Zhao et al. 2023, arXiv 2302.04867)."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import numpy as np

from score_sde.samplers import adams
from score_sde.samplers.corrected import Corrected, Step
from score_sde.samplers.points import Points
from score_sde.samplers.table import EPS, X0
from score_sde.values import between, one_of

VARIANTS = ("bh1", "bh2")


@dataclasses.dataclass(frozen=True)
class UniPC(Corrected):
    """The multistep predictor UniP-p with the corrector UniC-p, which costs no evaluation.

    In the frame of x0 (that of eps exchanges alpha and sigma, and h for -h):

        x^p = (sigma_s / sigma_t) x^c_t + alpha_s (1 - e^{-h}) D_t
              + alpha_s B(h) sum_k rho_k (D_k - D_t) / r_k,    r_k = (lambda_k - lambda_t) / h

    over the p - 1 predictions before t; the corrector has that at s among its D_k, r = 1
    (Algorithms 1 and 2 there). The rho_k solve a linear system, in which B(h) cancels: the sum is
    the polynomial through all D integrated exactly. But with two D, predictor 2 and corrector 1,
    rho = 1/2 as published, where bh1, B = h, and bh2, B = 1 - e^{-h}, differ. The ODE is solved to
    order p + 1. The first steps have lower p. From alpha = 0, h infinite, bh1 takes the B of bh2.

    Attributes:
        order: p.
        variant: B.
        prediction: what the polynomial is of, "x0" or "eps".
    """

    order: Annotated[int, between(1, 4)] = 3
    variant: Annotated[str, one_of(VARIANTS)] = "bh2"
    prediction: Annotated[str, one_of((X0, EPS))] = X0

    @property
    def PREDICTS(self) -> str:
        """See FixedStep."""
        return self.prediction

    def step(self, points: Points, number: int) -> Step:
        """See Corrected."""
        t, s = points[number], points[number + 1]
        keep, gained, rate = s.sigma / t.sigma, s.alpha, 1.0
        if self.prediction == EPS:
            keep, gained, rate = s.alpha / t.alpha, s.sigma, -1.0
        order = self.order_at(number, points, self.order)
        nodes = adams.behind(points.lam, number, order)
        predictor = self._weights(nodes, t.lam, s.lam, rate)
        corrector = self._weights(np.append(nodes, s.lam), t.lam, s.lam, rate)
        return Step(keep, gained * predictor, gained * np.roll(corrector, 1))

    def _weights(self, nodes: np.ndarray, start: float, end: float, rate: float) -> np.ndarray:
        """Those of the predictions at these nodes, that at `start` the first of them."""
        if len(nodes) != 2:
            return adams.exponential(nodes, start, end, rate)
        h = end - start
        total = -np.expm1(-rate * h)
        if np.isinf(h):
            return adams.half(1.0, total, total)
        b = rate * h if self.variant == "bh1" else total
        return adams.half((nodes[1] - start) / h, total, b)
