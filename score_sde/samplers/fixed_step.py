"""What every fixed-step solver is: options, the table that they stand for, and a sampler."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Self

import jax
import numpy as np

from score_sde import sections
from score_sde.composite import bound
from score_sde.prediction import Denoiser
from score_sde.processes import SDE
from score_sde.samplers.grids import TimeGrid, whole_steps
from score_sde.samplers.loop import State, noise_of_rows, run
from score_sde.samplers.points import Points
from score_sde.samplers.table import EPS, X0, Row, Table, of_rows
from score_sde.samplers.tabular import TabularSampler
from score_sde.samplers.threshold import thresholded
from score_sde.subspace import support_of
from score_sde.values import LARGEST_FLOAT, NotNegative, Positive, Share, one_of

DENOISE_FINAL = ("tweedie", "none")
FEW_STEPS = 15  # below which multistep methods end with lower orders


@dataclasses.dataclass(frozen=True)
class FixedStep(TimeGrid, TabularSampler):
    """A solver that is a table. A subclass is a frozen dataclass that gives `rows`.

    Attributes:
        steps: how many evaluations of the denoiser a method of one stage makes.
        denoise_final: "tweedie": the last evaluation, at t_min, gives E[x_0 | x], the final step to
            sigma = 0 of published code, and the grid has `steps` times; "none": x at t_min, with
            one time more on the grid, at which nothing is evaluated.
        lower_order_final: let a multistep method end with steps of lower order, the last one of
            order 1; None: if there are fewer than 15 steps, as published.
        clip: keep the predicted data within [-clip, clip]; 0 for not at all.
        threshold: a share, 0.995 for example: dynamic thresholding of what is clipped; 0 for none.
        factors: on the table's weights of the predictions, one for each, as tuning finds them; ()
            for none.
    """

    PREDICTS: ClassVar[str] = X0

    denoise_final: Annotated[str, one_of(DENOISE_FINAL)] = "tweedie"
    lower_order_final: bool | None = None
    clip: NotNegative = 0.0
    threshold: Share = 0.0
    factors: tuple[Positive, ...] = ()

    def __post_init__(self) -> None:
        sections.check(self)
        if self.threshold and not self.clip:
            raise ValueError("threshold is a share of what clip limits: give clip too, 1 as a rule")

    def rows(self, points: Points, sde: SDE) -> Iterator[Row]:
        """The rows of the steps from each point to the next, [n] points from t_max on.

        Raises:
            ValueError: the method cannot work there; the message says why.
        """
        raise NotImplementedError

    def evaluated(self, points: Points, sde: SDE) -> Points:
        """Where the denoiser is evaluated first in each step, [n]: at the points of the grid."""
        return points

    def final(self, points: Points) -> list[Row]:
        """The last row, which gives E[x_0 | x], if it is asked for; points: as `evaluated`."""
        if self.denoise_final == "none":
            return []
        last = points[-1]
        if self.PREDICTS == X0:
            return [Row(last.t, (0.0,), (1.0,))]
        return [Row(last.t, (1 / last.alpha,), (-last.ratio,))]

    def table(self, sde: SDE) -> Table:
        """The table for a process.

        Raises:
            ValueError: the grid or the method cannot work for the process.
        """
        return self.of_points(self.grid_points(sde), sde)

    def grid_points(self, sde: SDE) -> Points:
        """The points of the grid.

        Raises:
            ValueError: the process cannot have them, or they are too few for the order.
        """
        ends = self.denoise_final == "none"
        times = self.with_end(sde, self.steps) if ends else self.at(sde, self.steps)
        order = getattr(self, "order", 1)
        if order > len(times):
            raise ValueError(
                f"order={order} of {type(self).__name__} needs {order} times at least, not "
                f"{len(times)}: give more steps or a lower order"
            )
        return Points.at(sde, times)

    def later(self, sde: SDE, share: float) -> Self:
        """See Sampler; a multistep method begins anew, and ends as it does with all steps."""
        points = self.grid_points(sde)
        found = self.cut(points.t, self._steps(points), share)
        return dataclasses.replace(found, lower_order_final=self._lower(points)).checked(sde)

    def earlier(self, sde: SDE, share: float) -> Self:
        """See Sampler; a multistep method does not end with lower orders then."""
        points = self.grid_points(sde)
        kept = whole_steps(self._steps(points), share)
        if kept == self._steps(points):
            return self
        times = tuple(points.t[: kept + 1].tolist())
        whole = {"denoise_final": "none", "lower_order_final": False}
        return dataclasses.replace(self, times=times, **whole).checked(sde)

    def checked(self, sde: SDE) -> Self:
        """Itself, if these options can work for a process; see `check`.

        Raises:
            ValueError: they cannot.
        """
        self.check(sde)
        return self

    def _steps(self, points: Points) -> int:
        return len(points) - (self.denoise_final == "none")

    def _lower(self, points: Points) -> bool:
        """Whether a multistep method ends with lower orders."""
        few = self._steps(points) < FEW_STEPS
        return few if self.lower_order_final is None else self.lower_order_final

    def of_points(self, points: Points, sde: SDE) -> Table:
        """The table through these points of the process, in place of those of the grid.

        Raises:
            ValueError: the method cannot work there.
        """
        no_signal = ValueError(
            f"{type(self).__name__} cannot make these steps for {sde}: it needs a signal-to-noise "
            "ratio above 0 at every time, also as a float32; use a smaller t_max, or ddim"
        )
        if self.PREDICTS == EPS and not points.alpha.all():
            raise no_signal
        if len(points) == 1 and self.denoise_final == "none":
            raise ValueError("there is no step from one time: give two, or denoise_final='tweedie'")
        with np.errstate(divide="ignore", invalid="ignore"):  # reported here
            rows = [*self.rows(points, sde), *self.final(self.evaluated(points, sde))]
            table = self._changed(of_rows(self.PREDICTS, rows))
        parts = [part for part in table[1:] if part is not None]
        if not all((np.abs(part) <= LARGEST_FLOAT).all() for part in parts):
            raise no_signal
        return table

    def _changed(self, table: Table) -> Table:
        """With the factors on its predictions."""
        if not self.factors:
            return table
        if len(self.factors) != table.predictions.size:
            raise ValueError(
                f"{len(self.factors)} factors for a table of {table.predictions.size} weights: "
                "they belong to another sampler or number of steps"
            )
        factors = np.reshape(self.factors, table.predictions.shape)
        return table._replace(predictions=table.predictions * factors)

    def order_at(self, step: int, points: Points, order: int) -> int:
        """The order of a step: as many points as are behind it, and less near the end if asked."""
        left = self._steps(points) - step
        return min(order, step + 1, left if self._lower(points) else order)

    def advance(
        self,
        key: jax.Array,
        state: State,
        denoise: Denoiser,
        sde: SDE,
        first: int | jax.Array,
        last: int | jax.Array,
        cond: Any = None,
    ) -> State:
        """See Sampler.

        Raises:
            ValueError: as `check`.
        """
        denoise = bound(thresholded(denoise, self.clip, self.threshold), sde)
        table, x = self.table(sde), state.states[0]
        noise = None if table.deterministic else noise_of_rows(key, x, support_of(denoise, cond))
        return run(table, state, denoise, noise, first, last, cond)
