"""Restart sampling (Xu et al. 2023, arXiv 2306.14878, Algorithm 1)."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from typing import Annotated, ClassVar

import numpy as np

from score_sde.processes import SDE
from score_sde.samplers.fixed_step import FixedStep
from score_sde.samplers.grids import MOST_STEPS
from score_sde.samplers.heun import heun
from score_sde.samplers.points import Points
from score_sde.samplers.steps import noised
from score_sde.samplers.table import EPS, Row
from score_sde.values import Positive, between

MOST = 1000  # rows of a table are made on the host


@dataclasses.dataclass(frozen=True)
class Restart(FixedStep):
    """Heun's steps; at the low end of an interval x goes forward to the high end, and back again.

    With u = sigma / alpha and y = x / alpha, at the time s of the grid that is nearest to `low`,
    `repeats` times over:

        y_h = y_s + sqrt(high^2 - u_s^2) z,    then Heun's steps from h to s

    on `inner` times, equally spaced in u^(1/rho). The fresh noise contracts what errors there are.
    The forward jump keeps the marginals, so with growing `steps` and `inner` the samples have those
    of the probability flow, with order 2. It costs 2 steps - 1 + sum of 2 repeats (inner - 1)
    evaluations. The default is the published one for CIFAR-10, where steps = 18 make it 43; several
    intervals are that many elements of each option.

    Attributes:
        low: the low ends of the intervals, in sigma / alpha (t_min of the paper).
        high: the high ends (t_max there).
        inner: the numbers of times in the intervals, with both ends (N_Restart there).
        repeats: how often each interval is gone through again (K there).
    """

    PREDICTS: ClassVar[str] = EPS

    low: tuple[Positive, ...] = (0.06,)
    high: tuple[Positive, ...] = (0.3,)
    inner: tuple[Annotated[int, between(2, MOST)], ...] = (3,)
    repeats: tuple[Annotated[int, between(1, MOST)], ...] = (2,)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not len(self.low) == len(self.high) == len(self.inner) == len(self.repeats):
            raise ValueError("low, high, inner and repeats must have one element an interval each")
        rows = sum(2 * n * (k - 1) for n, k in zip(self.repeats, self.inner, strict=True))
        if rows > MOST_STEPS:
            raise ValueError(
                f"repeats={self.repeats} of inner={self.inner} times are {rows:,} evaluations, and "
                f"at most {MOST_STEPS:,} are possible"
            )
        if any(low >= high for low, high in zip(self.low, self.high, strict=True)):
            raise ValueError(f"each low must be below its high, not {self.low} and {self.high}")

    def rows(self, points: Points, sde: SDE) -> Iterator[Row]:
        """See FixedStep."""
        again = self._again(points, sde)
        for i, (t, s) in enumerate(itertools.pairwise(points), 1):
            step = [*heun(t, s)]
            for grid in again.get(i, []):
                *rows, last = step
                yield from (*rows, noised(last, s, grid[0]))
                step = [row for t, s in itertools.pairwise(grid) for row in heun(t, s)]
            yield from step

    def _again(self, points: Points, sde: SDE) -> dict[int, list[Points]]:
        """The points that are gone through after each of the grid, once for each repetition."""
        if len(points) < 2:
            raise ValueError("a restart is between two steps: restart needs at least 2 times")
        found: dict[int, list[Points]] = {}
        for low, high, inner, repeats in zip(
            self.low, self.high, self.inner, self.repeats, strict=True
        ):
            i = 1 + np.argmin(np.abs(points.ratio[1:] - low))
            ratio, top = points.ratio[i], Points.at(sde, sde.t_max).ratio
            if not ratio < high <= top:
                raise ValueError(
                    f"no restart from {low:g} to {high:g}: of the steps the one nearest to low "
                    f"ends at sigma / alpha = {ratio:g}, and high must be above that and at most "
                    f"{top:g} for {sde}; take more steps, or other ends"
                )
            line = np.linspace(high ** (1 / self.rho), ratio ** (1 / self.rho), inner)
            times = sde.time_at_log_snr(-2 * self.rho * np.log(line))
            times[-1] = points.t[i]
            found.setdefault(int(i), []).extend([Points.at(sde, times)] * repeats)
        return found
