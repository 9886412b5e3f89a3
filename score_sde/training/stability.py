"""Whether training may go on from a step: losses and gradients that are not finite, and spikes.

A spike is a loss or a norm of the gradient above `spike` times its typical value, which is the
median of the last WINDOW steps; of a value that is typically not positive nothing is a spike.

Training that goes back to a checkpoint passes over the batches from there to the step that went
wrong and draws other noise (Chowdhery et al. 2022, arXiv 2204.02311, Section 5.1, which takes a
checkpoint about 100 steps before a spike and leaves out 200 to 500 batches).
"""

from __future__ import annotations

import collections
import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

WINDOW = 100  # steps whose median is typical; before there are as many, nothing is a spike
WATCH = "watch"  # the name of what is known, among what else a checkpoint says of a run
MOST = 3  # times that training goes back to one checkpoint


class Unstable(Exception):
    """Training cannot go on from a step.

    Attributes:
        step: the step.
        said: what is wrong with it, in words.
    """

    def __init__(self, step: int, said: str):
        super().__init__(said)
        self.step, self.said = step, said


@dataclasses.dataclass
class Watch:
    """Looks at the metrics of every step, in their order.

    What it knows goes into each checkpoint, so that a run that resumes there judges as before.

    Attributes:
        skip: steps in a row that may be not finite, each of which is left out.
        spike: times a typical value that are a spike; 0 if none is.
        skipped: steps that were left out so far.
        rewinds: how often training went back so far.
        in_a_row: steps that were left out since the last that was not.
        recent: the loss and the norm of the gradient of up to WINDOW steps, where spikes are asked
            for.
    """

    skip: int = 0
    spike: float = 0.0
    skipped: int = 0
    rewinds: int = 0
    in_a_row: int = 0
    recent: collections.deque[tuple[float, float]] = dataclasses.field(
        default_factory=lambda: collections.deque(maxlen=WINDOW)
    )

    def look(self, first: int, losses: np.ndarray, norms: np.ndarray) -> np.ndarray:
        """Look at steps that follow those before.

        Args:
            first: the first of them.
            losses: of each, [n].
            norms: of the gradient of each, [n].

        Returns:
            Which were not left out, bool [n].

        Raises:
            Unstable: training cannot go on from one of them.
        """
        values = zip(losses.tolist(), norms.tolist(), strict=True)
        return np.array([self._one(first + i, *pair) for i, pair in enumerate(values)], bool)

    def _one(self, step: int, loss: float, norm: float) -> bool:
        if not (math.isfinite(loss) and math.isfinite(norm)):
            self.in_a_row += 1
            if self.in_a_row > self.skip:
                first = step - self.in_a_row + 1
                more = f" and in the {self.skip} after it" if self.skip else ""
                raise Unstable(
                    step, f"the loss or its gradient is not finite at step {first}{more}"
                )
            self.skipped += 1
            return False
        self.in_a_row = 0
        if self.spike:
            self._compare(step, loss, norm)
            self.recent.append((loss, norm))
        return True

    def _compare(self, step: int, *found: float) -> None:
        """Raise Unstable if a value is a spike."""
        if len(self.recent) < WINDOW:
            return
        typical = np.median(np.array(self.recent), axis=0).tolist()
        for name, value, usual in zip(("loss", "gradient"), found, typical, strict=True):
            if value > self.spike * usual > 0:
                raise Unstable(
                    step, f"the {name} spikes at step {step}: {value:.4g}, typically {usual:.4g}"
                )

    def counts(self) -> dict[str, int]:
        """What metrics.csv has of it: what there is to count."""
        found = {
            "skipped": (self.skipped, self.skip > 0),
            "rewinds": (self.rewinds, self.spike > 0),
        }
        return {name: count for name, (count, asked) in found.items() if count or asked}

    def state(self) -> dict[str, Any]:
        """What `resumed` takes, plain values; nothing if nothing was ever wrong or asked for."""
        values = {
            "skipped": self.skipped,
            "rewinds": self.rewinds,
            "in_a_row": self.in_a_row,
            "recent": [list(pair) for pair in self.recent],
        }
        return (
            {WATCH: known} if (known := {n: value for n, value in values.items() if value}) else {}
        )

    def resumed(self, state: Mapping[str, Any]) -> Watch:
        """One of these options that knows what the one did that gave a state, or more than that."""
        known = state.get(WATCH, {})
        recent = known.get("recent", ()) if self.spike else ()
        known = {**known, "recent": collections.deque(map(tuple, recent), WINDOW)}
        return Watch(self.skip, self.spike, **known)
