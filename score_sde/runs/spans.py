"""When something is done while pictures are drawn: from one share of the steps to another."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from score_sde.processes import SDE
from score_sde.samplers import Sampler
from score_sde.samplers.tabular import TabularSampler


def whole_steps(begin: np.ndarray, end: np.ndarray, start: float, stop: float) -> np.ndarray:
    """The steps of which the whole lies between two shares."""
    return (begin >= start - 1e-9) & (end <= stop + 1e-9)


def begun_steps(begin: np.ndarray, end: np.ndarray, start: float, stop: float) -> np.ndarray:
    """The steps that begin after one share, and before another."""
    del end
    return (begin > start) & (begin < stop)


def times(
    sde: SDE,
    draw: Sampler,
    start: float,
    end: float,
    steps: Callable[..., np.ndarray] = whole_steps,
) -> tuple[float, float]:
    """(low, high], the times at which it is done.

    Args:
        sde: the process.
        draw: the sampler.
        start: the share of the steps after which it begins,
        end: and at which it ends.
        steps: which steps lie between: `whole_steps` or `begun_steps`.

    Raises:
        ValueError: they are no shares, no step lies between, or the sampler chooses its own.
    """
    if not (0 <= start < end <= 1):
        raise ValueError(
            f"start={start:g} and end={end:g} are shares of the steps, from 0 to 1, the first "
            "below the second"
        )
    first, last = -np.inf, np.inf
    if (start, end) == (0, 1):
        return first, last
    if not isinstance(draw, TabularSampler):
        raise ValueError(
            f"start and end are shares of the steps, and {type(draw).__name__} chooses its own: "
            "use a solver with fixed steps, such as ddim"
        )
    table = draw.table(sde)
    t = table.t[~table.inner]
    i, n = np.arange(len(t)), len(t)
    found = np.flatnonzero(steps(i / n, (i + 1) / n, start, end))
    if not len(found):
        raise ValueError(f"none of {n} steps lies between start={start:g} and end={end:g}")
    if found[0] > 0:
        last = (t[found[0] - 1] + t[found[0]]) / 2
    if found[-1] < n - 1:
        first = (t[found[-1]] + t[found[-1] + 1]) / 2
    return float(first), float(last)
