"""Stopping on request: SIGTERM, as a cluster sends it, and Ctrl-C."""

from __future__ import annotations

import signal
from types import FrameType


class StopRequest:
    """While entered, the first SIGTERM or Ctrl-C is noted, not obeyed; the next one acts at once.

    Attributes:
        received: the signal, or None.
    """

    def __init__(self):
        self.received: signal.Signals | None = None
        self._before = {}

    def __enter__(self) -> StopRequest:
        for number in (signal.SIGTERM, signal.SIGINT):
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        self._restore()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.received = signal.Signals(number)
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}
