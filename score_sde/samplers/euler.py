"""Euler's method for the probability flow."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator

from score_sde.processes import SDE
from score_sde.samplers.fixed_step import FixedStep
from score_sde.samplers.points import Points
from score_sde.samplers.steps import first_order
from score_sde.samplers.table import Row


@dataclasses.dataclass(frozen=True)
class Euler(FixedStep):
    """A straight line in the variables of the EDM frame, y = x / alpha over u = sigma / alpha.

        y_s = y_t + (u_s - u_t) eps,    so    x_s = alpha_s x0 + sigma_s eps

    It is DDIM without noise, and Euler's step of a rectified flow in t. Order 1 for the ODE (Karras
    et al. 2022, arXiv 2206.00364, Algorithm 1 without the lines 6 to 8). Written with x0, as here,
    it is finite where alpha = 0.
    """

    def rows(self, points: Points, sde: SDE) -> Iterator[Row]:
        """See FixedStep."""
        for t, s in itertools.pairwise(points):
            yield first_order(t, s)
