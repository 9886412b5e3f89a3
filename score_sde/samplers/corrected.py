"""Multistep solvers with a corrector that evaluates nothing: predict, evaluate, correct."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from score_sde.processes import SDE
from score_sde.samplers.fixed_step import FixedStep
from score_sde.samplers.points import Points
from score_sde.samplers.table import Row


class Step(NamedTuple):
    """A step from a point to the next.

        x^p = keep x^c_t + sum_j predictor_j D_{t-j} + noise z,
        x^c = keep x^c_t + corrector_0 D_s + sum_j corrector_{j+1} D_{t-j} + noise z

    with D_s evaluated at x^p, and the same z.
    """

    keep: float
    predictor: np.ndarray
    corrector: np.ndarray
    noise: float = 0.0

    @property
    def correction(self) -> np.ndarray:
        """Weights of D_s, D_t, ... in x^c - x^p; none if there is no corrector."""
        if not len(self.corrector):
            return self.corrector
        return _sum(self.corrector, -np.insert(self.predictor, 0, 0.0))


@dataclasses.dataclass(frozen=True)
class Corrected(FixedStep):
    """A solver whose steps are Steps. A subclass is a frozen dataclass that gives `step`.

    The evaluation that a step begins with serves the corrector of the step before: the states of
    the table are the predicted ones, and each row corrects before it steps. The state at t_min is
    predicted, and corrected only where a last evaluation is made there.
    """

    def step(self, points: Points, number: int) -> Step:
        """The step from points[number] to the next."""
        raise NotImplementedError

    def rows(self, points: Points, sde: SDE) -> Iterator[Row]:
        """See FixedStep."""
        correction = np.array([])
        for i in range(len(points) - 1):
            step = self.step(points, i)
            weights = _sum(step.keep * correction, step.predictor)
            yield Row(points.t[i], (step.keep,), weights, step.noise)
            correction = step.correction

    def final(self, points: Points) -> list[Row]:
        """See FixedStep; it corrects too."""
        rows = super().final(points)
        if rows and len(points) > 1:
            row, correction = rows[0], self.step(points, len(points) - 2).correction
            weights = _sum(row.states[0] * correction, np.array(row.predictions))
            rows = [row._replace(predictions=weights)]
        return rows


def _sum(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The sum of weights of unequal number, both newest first."""
    total = np.zeros(max(len(a), len(b)))
    total[: len(a)] += a
    total[: len(b)] += b
    return total
