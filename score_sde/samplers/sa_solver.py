"""SA-Solver, the stochastic Adams method (Xue et al. 2023, arXiv 2309.05019)."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import numpy as np

from score_sde.samplers import adams
from score_sde.samplers.corrected import Corrected, Step
from score_sde.samplers.points import Points
from score_sde.values import NotNegative, Positive, between


@dataclasses.dataclass(frozen=True)
class SASolver(Corrected):
    """Stochastic Adams-Bashforth predictor and Adams-Moulton corrector in x0 (Algorithm 1).

        x_s = (sigma_s / sigma_t) e^{-tau^2 h} x_t + alpha_s sum_j W_j x0_j
              + sigma_s sqrt(1 - e^{-2 tau^2 h}) z,    h = lambda_s - lambda_t,
        W_j = int L_j(lambda) (1 + tau^2) e^{(1 + tau^2) (lambda - lambda_s)} dlambda

    with L_j the polynomials through the `predictor` newest predictions, or those through the
    `corrector` newest and the one at s. The corrector costs no evaluation and has the noise of the
    predictor. It converges to the reverse SDE with tau(t)^2 times the noise of Song et al. 2021,
    whose marginals are the same for every tau; tau = 0 is the ODE. As in the paper tau is constant
    in the middle and 0 at the start and the end.

    The ODE is solved to order `predictor` without a corrector, min(predictor, corrector) + 1 with
    one; of the SDE, mean and variance on Gaussian data to order 2 (1 for predictor 1 alone). The
    first steps have fewer predictions.

    Attributes:
        predictor: how many predictions the predictor weighs, s of the paper.
        corrector: how many but the new one the corrector weighs; 0 for no corrector.
        tau: the share of noise where sigma / alpha is in an interval; 0 outside it.
        tau_min: where the interval ends; a step has noise if it begins in it.
        tau_max: where it begins.
    """

    predictor: Annotated[int, between(1, 4)] = 3
    corrector: Annotated[int, between(0, 4)] = 3
    tau: Annotated[float, between(0, adams.MOST_NOISE)] = 1.0
    tau_min: NotNegative = 0.05
    tau_max: Positive = 1.0

    def step(self, points: Points, number: int) -> Step:
        """See Corrected."""
        t, s = points[number], points[number + 1]
        eta = self.tau**2 if self.tau_min <= t.ratio <= self.tau_max else 0.0
        predictor = self._behind(points, number, self.predictor)
        row = adams.x0_row(t, s, adams.exponential(predictor, t.lam, s.lam, 1 + eta), eta)
        corrector = np.array([])
        if self.corrector:
            nodes = np.insert(self._behind(points, number, self.corrector), 0, s.lam)
            nodes = nodes[np.isfinite(nodes)]  # a prediction at alpha = 0 has no weight
            corrector = s.alpha * adams.exponential(nodes, t.lam, s.lam, 1 + eta)
        return Step(row.states[0], row.predictions, corrector, row.noise)

    def _behind(self, points: Points, number: int, most: int) -> np.ndarray:
        """lambda where the newest predictions are."""
        return adams.behind(points.lam, number, self.order_at(number, points, most))
