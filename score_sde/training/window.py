"""The metrics of the steps since the last row of metrics.csv."""

from __future__ import annotations

import math
import time

import jax
import numpy as np

from score_sde.training.stability import Watch
from score_sde.training.step import Metrics


class Window:
    """Metrics of calls, which are fetched seldom, so that the devices never wait.

    Attributes:
        pending: those that were not fetched yet, of a call each, [steps of it].
    """

    def __init__(self):
        self.start()

    def start(self) -> None:
        """Forget all steps."""
        self.pending: list[Metrics] = []
        self._losses: list[np.ndarray] = []
        self._norms: list[np.ndarray] = []
        self._steps, self._seconds = 0, 0.0
        self.start_clock()

    def start_clock(self) -> None:
        """The time from here to the next `drain` is that of steps."""
        self._clock = time.monotonic()

    def wait(self) -> None:
        """Wait for all calls but the last: who stops a run waits for all that was dispatched."""
        jax.block_until_ready(self.pending[-2:-1])

    def drain(self, step: int, watch: Watch) -> None:
        """Fetch the metrics of all calls so far.

        Args:
            step: the last of them.
            watch: looks at each.

        Raises:
            Unstable: training cannot go on from one.
        """
        fetched = jax.device_get(self.pending)
        self.pending = []
        self._seconds += time.monotonic() - self._clock
        if not fetched:
            return
        loss = np.concatenate([m["loss"] for m in fetched])
        norm = np.concatenate([m["grad_norm"] for m in fetched])
        taken = watch.look(step - len(loss) + 1, loss, norm)
        self._steps += len(loss)
        self._losses.append(loss[taken])
        self._norms.append(norm[taken])

    def row(self, batch_size: int) -> dict[str, float]:
        """Means over the steps that were not left out, and examples a second of all; then `start`.

        Args:
            batch_size: examples a step.
        """
        found = {
            "loss": _mean(self._losses),
            "grad_norm": _mean(self._norms),
            "examples_per_second": self._steps * batch_size / max(self._seconds, 1e-9),
        }
        self.start()
        return found


def _mean(parts: list[np.ndarray]) -> float:
    values = np.concatenate(parts)
    return float(values.mean(dtype=np.float64)) if values.size else math.nan
