"""A fault that is done several times, and what became of each."""

from __future__ import annotations

import dataclasses

from experiments.faults.place import Place
from experiments.faults.table import Row

_SHOWN = 1500  # characters, the last, of what a program printed


@dataclasses.dataclass
class Attempts:
    """What became of the attempts so far.

    Attributes:
        place: is told how it goes.
        name: of the fault, as --only takes it.
        times: how often it is to be done.
        done: how often it was.
        wrong: attempts of which not came what is to be.
        seconds: how long each recovery took, see table.Row.
    """

    place: Place
    name: str
    times: int
    done: int = 0
    wrong: list[object] = dataclasses.field(default_factory=list)
    seconds: list[float] = dataclasses.field(default_factory=list)

    def note(self, attempt: object, good: bool, took: float | None, *said: object) -> None:
        """Note what became of one.

        Args:
            attempt: which one.
            good: whether it is what is to be.
            took: seconds of the recovery; None if there was nothing to recover from.
            said: exit codes, and what the programs printed: told where it is not good.
        """
        self.done += 1
        if took is not None:
            self.seconds.append(took)
        if not good:
            self.wrong.append(attempt)
            told = "; ".join(str(one)[-_SHOWN:] for one in said)
            self.place.say(f"{self.name} {attempt} is not as it is to be: {told}")
        time = "nothing to recover from" if took is None else f"{took:.1f} s"
        self.place.say(f"{self.name} {self.done}/{self.times}: {time}")

    def row(self, fault: str, outcome: str) -> Row:
        """The row of the table.

        Args:
            fault: what was done, in words.
            outcome: what came of it, in words, where all are good.
        """
        if self.wrong:
            outcome = f"{len(self.wrong)} are not so: {', '.join(map(str, self.wrong))}"
        return Row(self.name, fault, outcome, self.done, tuple(self.seconds), not self.wrong)
