"""Stopping on request: SIGTERM, as a cluster sends it, and Ctrl-C."""

from __future__ import annotations

import signal
import sys
from types import FrameType

from score_sde import interrupts


class StopRequest:
    """While entered, the first SIGTERM is noted, not obeyed; the next one acts at once.

    Attributes:
        received: the signal, or None.
    """

    def __init__(self):
        self.received: signal.Signals | None = None
        self._before = {}

    def __enter__(self) -> StopRequest:
        self._listen(signal.SIGTERM)
        return self

    def __exit__(self, *_: object) -> None:
        self._restore()

    def also_on_interrupt(self) -> None:
        """From now on treat Ctrl-C like SIGTERM."""
        if signal.SIGINT not in self._before and self.received is None:
            self._listen(signal.SIGINT)

    def _listen(self, number: signal.Signals) -> None:
        self._before[number] = signal.signal(number, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.received = signal.Signals(number)
        interrupts.answered()
        self._restore()
        print("stopping after this step; the same signal again stops at once", file=sys.stderr)

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
