"""What every fault is given: a folder, a seed, how often, and where to say how it goes."""

from __future__ import annotations

import dataclasses
import random
from pathlib import Path


@dataclasses.dataclass(frozen=True)
class Place:
    """Where faults happen.

    Attributes:
        folder: for runs and data, removed in the end.
        times: how often each is done.
        cases: how many configs are drawn.
        seed: of all that is random.
    """

    folder: Path
    times: int = 20
    cases: int = 10_000
    seed: int = 0

    def random(self, name: str) -> random.Random:
        """Random numbers of a fault, the same whichever others are tried."""
        return random.Random(f"{self.seed} {name}")

    def say(self, text: str) -> None:
        """Tell whoever waits."""
        print(text, flush=True)
