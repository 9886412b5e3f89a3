"""DEIS (Zhang and Chen 2022, arXiv 2204.13902)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Annotated, ClassVar

import numpy as np

from score_sde.processes import SDE
from score_sde.samplers import adams
from score_sde.samplers.fixed_step import FixedStep
from score_sde.samplers.points import Points
from score_sde.samplers.table import EPS, Row
from score_sde.values import between, one_of

VARIABLES = ("t", "rho", "log_rho")


def in_lambda(points: Points, sde: SDE, step: int, number: int, variable: str) -> np.ndarray:
    """w of equation (2) of adams.py in t or log rho, as an integral over lambda = -log rho."""
    start, end = points.lam[step : step + 2]
    u, w = adams.gauss(_smooth(sde, points, step) if variable == "t" else [start, end])
    values, nodes = -u, -points.lam
    if variable == "t":
        values, nodes = sde.time_at_log_snr(2 * u), points.t
    return adams.lagrange(adams.behind(nodes, step, number), values) @ (-w * np.exp(-u))


def _smooth(sde: SDE, points: Points, step: int) -> np.ndarray:
    """The ends of the pieces of a step in which t is smooth in lambda.

    A sequence of discrete levels is interpolated between them.
    """
    t = points.t[step : step + 2]
    levels = np.arange(sde.scales)[::-1] / (sde.scales - 1) if sde.scales else np.array([])
    between_ends = levels[(levels < t[0]) & (levels > t[1])]
    inside = Points.at(sde, between_ends).lam if len(between_ends) else between_ends
    return np.concatenate([points.lam[step : step + 1], inside, points.lam[step + 1 : step + 2]])


@dataclasses.dataclass(frozen=True)
class DEIS(FixedStep):
    """Adams and Bashforth's step with eps a polynomial in t, rho or log rho, rho = sigma / alpha.

        x_s = (alpha_s / alpha_t) x_t + alpha_s sum_j w_j eps_j,
        w_j = int_{rho_t}^{rho_s} L_j drho

    with L_j the polynomial of degree `order` that is 1 at the j-th of the `order` + 1 newest
    predictions and 0 at the others. It solves the ODE to order `order` + 1; the
    first steps have the degree that the predictions behind them allow.

    Attributes:
        order: the degree of the polynomials, r of tAB-r and rhoAB-r.
        variable: of which they are polynomials: "t" (tAB), "rho" (rhoAB) or "log_rho".
    """

    PREDICTS: ClassVar[str] = EPS

    order: Annotated[int, between(1, 3)] = 3
    variable: Annotated[str, one_of(VARIABLES)] = "t"

    def rows(self, points: Points, sde: SDE) -> Iterator[Row]:
        """See FixedStep."""
        for i in range(len(points) - 1):
            number = self.order_at(i, points, self.order + 1)
            if self.variable == "rho":
                weights = adams.in_ratio(points, i, number)
            else:
                weights = in_lambda(points, sde, i, number, self.variable)
            yield adams.eps_row(points[i], points[i + 1], weights)
