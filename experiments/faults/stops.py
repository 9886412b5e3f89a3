"""SIGTERM and Ctrl-C at any moment, once and twice: a clear end, and the same command goes on."""

from __future__ import annotations

import random
import shutil
import signal
from pathlib import Path

from experiments.faults import program
from experiments.faults.attempts import Attempts
from experiments.faults.place import Place
from experiments.faults.program import NEW_STEP, Program
from experiments.faults.table import Row

# 0: it stopped after its step, or was done. 130: the same after Ctrl-C, or it ended at once, as 143
# after SIGTERM. Negative: while it was imported.
_CODES = {
    signal.SIGTERM: (0, 143, -signal.SIGTERM),
    signal.SIGINT: (0, 130, -signal.SIGINT),
}
_APART = 0.3  # seconds between two, at most


def terminated(place: Place) -> list[Row]:
    """As a cluster sends it."""
    return _row(place, "sigterm", signal.SIGTERM)


def interrupted(place: Place) -> list[Row]:
    """As Ctrl-C sends it."""
    return _row(place, "sigint", signal.SIGINT)


def _row(place: Place, name: str, number: signal.Signals) -> list[Row]:
    rng, attempts = place.random(name), Attempts(place, name, place.times)
    for attempt in range(place.times):
        workdir = place.folder / f"{name}-{attempt}"
        begun, code = _stopped(place, rng, workdir, number, again=attempt % 2 == 1)
        again = Program(*program.training(workdir), place=place)
        ended, took = again.end(), again.recovery()
        clear = code in _CODES[number] and "Traceback" not in begun.text
        went_on = not ended and again.at(NEW_STEP) is not None
        good = clear and went_on and program.same_state(place, workdir)
        attempts.note(attempt, good, took, code, begun.text, ended, again.text)
        shutil.rmtree(workdir)
    fault = f"{number.name} to training at random moments, half of them twice within {_APART} s"
    return [attempts.row(fault, "a clear end; then the same bits as undisturbed")]


def _stopped(
    place: Place, rng: random.Random, workdir: Path, number: signal.Signals, again: bool
) -> tuple[Program, int]:
    """Training that was sent a signal while it worked, sooner where it was done; its exit code."""
    _, span = program.finished(place)
    while True:
        begun = Program(*program.training(workdir), place=place)
        if begun.reach(rng.uniform(0, span)):
            break
        shutil.rmtree(workdir)
        span *= 0.7
    begun.send(number)
    if again:
        begun.reach(begun.age + rng.uniform(0, _APART))
        begun.send(number)
    return begun, begun.end()
