"""How much to compute between two looks at the clock."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import numpy as np
from jax.experimental import multihost_utils

_SHORTEST = 0.5  # seconds of a piece, so that what lies between two costs nothing


class Pace:
    """Cuts a number of steps into pieces of half a second to two, if each step takes as long.

    The first piece is of no steps: what it takes is compilation, which says nothing of those to
    come. From there on a piece is four times as long as the one before until it takes long enough.
    All processes cut at the same steps, as a compiled function of all their devices must.

    Args:
        pieces: the number of steps; 1 is never cut, nor begun with a piece of none.
    """

    def __init__(self, pieces: int):
        self.pieces = pieces
        self._next = 0 if pieces > 1 else 1

    def after(self, done: int) -> int:
        """Where the piece ends that begins after so many steps."""
        return min(done + self._next, self.pieces)

    @contextlib.contextmanager
    def measured(self, steps: int) -> Iterator[None]:
        """Takes the time of a piece of so many steps; the last of all may be a shorter one."""
        begin = time.monotonic()
        yield
        seconds = np.float32(time.monotonic() - begin)
        if self._next == 0:
            self._next = 1
        elif (
            steps == self._next < self.pieces
            and multihost_utils.broadcast_one_to_all(seconds) < _SHORTEST
        ):
            self._next *= 4
