"""Several processes on one run, a process of two that dies, and other devices than before."""

from __future__ import annotations

import csv
import re
import shutil
import signal
import time
from pathlib import Path

import numpy as np

import score_sde
from experiments.faults import program, together
from experiments.faults.attempts import Attempts
from experiments.faults.place import Place
from experiments.faults.program import SIGKILL, SIGTERM, STEPS, Program
from experiments.faults.table import Row

_STEP = re.compile(r"step \d+/")
_CLOSE = 1e-3  # of losses, relative: sums are added up in another order on other devices


def lock(place: Place) -> list[Row]:
    """A second process on a run is refused; where the first is killed it begins at once."""
    attempts = Attempts(place, "lock", place.times)
    for number in range(place.times):
        workdir = place.folder / f"lock-{number}"
        command = program.training(workdir)
        holder = Program(*command, place=place)
        holder.wait(lambda holder=holder: holder.at(_STEP))
        holder.send(signal.SIGSTOP)  # so that it is not done before the second comes
        second = Program(*command, place=place)
        code = second.end()
        refused = "is being trained by process" in second.text and program.one_line(second.text)
        holder.send(SIGKILL)
        third = Program(*command, place=place)
        ended, took = third.end(), third.recovery()
        holder.end()
        good = code == 2 and refused and not ended and program.same_state(place, workdir)
        attempts.note(number, good, took, code, second.text, ended, third.text)
        shutil.rmtree(workdir, ignore_errors=True)
    outcome = "the second is refused by one line; after SIGKILL of the first it trains at once"
    return [attempts.row("two processes on one run", outcome)]


def peer(place: Place) -> list[Row]:
    """One of two processes that train together is killed."""
    rng, attempts = place.random("peer"), Attempts(place, "peer", max(1, place.times // 5))
    ends = []  # seconds, of the other
    for number in range(attempts.times):
        workdir = place.folder / f"peer-{number}"
        command = program.training(workdir, "--distributed")
        two = _two(place, command)
        step = re.compile(rf"step {rng.randrange(2, STEPS // 2, 2)}/")
        two[0].wait(lambda two=two, step=step: two[0].at(step))
        victim = rng.randrange(2)
        two[victim].send(SIGKILL)
        begin = time.monotonic()
        other = two[1 - victim]
        code = other.end()
        ends.append(time.monotonic() - begin)
        two[victim].end()
        line = f"error: process {victim} of 2 has died. "
        again = _two(place, command)
        ended, took = [each.end() for each in again], again[0].recovery()
        good = code == 1 and line in other.text and not any(ended) and ends[-1] < 60
        good = good and _close(place, workdir)
        attempts.note(number, good, took, code, ends[-1], other.text, ended, again[0].text)
        shutil.rmtree(workdir, ignore_errors=True)
    outcome = (
        f"the other ends with one line after {max(ends):.1f} s at most; the same commands go "
        "on to the losses of one process, to rounding"
    )
    return [attempts.row("SIGKILL of one of two processes that train together", outcome)]


def _two(place: Place, command: tuple[str, ...]) -> list[Program]:
    return [Program(*command, place=place, **own) for own in together.environments(2)]


def mesh(place: Place) -> list[Row]:
    """Begun on some devices and ended on others."""
    pairs = ((1, ()), (8, ("--config.training.fsdp=4",))), ((8, ()), (1, ()))
    attempts = Attempts(place, "mesh", len(pairs))
    for number, ((first, before), (second, after)) in enumerate(pairs):
        workdir = place.folder / f"mesh-{number}"
        begun = Program(*program.training(workdir, *before), devices=first, place=place)
        begun.wait(lambda begun=begun: begun.at(re.compile(rf"step {STEPS // 5}/")))
        begun.send(SIGTERM)
        code = begun.end()
        again = Program(*program.training(workdir, *after), devices=second, place=place)
        ended, took = again.end(), again.recovery()
        stopped = not code and "stopped by SIGTERM" in begun.text
        good = stopped and not ended and _close(place, workdir)
        attempts.note(f"{first} to {second}", good, took, code, begun.text, ended, again.text)
    fault = "training goes on with other devices: 1, then 8 (data 2, fsdp 4); 8, then 1"
    return [attempts.row(fault, "the losses are those of one device, to rounding")]


def _close(place: Place, workdir: Path) -> bool:
    """Whether losses and parameters are those of the undisturbed run, to rounding."""
    runs = program.finished(place)[0], workdir
    one, other = (_losses(run) for run in runs)
    if len(one) != len(other) or not np.allclose(one, other, rtol=_CLOSE):
        return False
    first, second = (score_sde.load(run, weights="raw").params for run in runs)
    return all(np.allclose(first[name], second[name], atol=_CLOSE) for name in first)


def _losses(workdir: Path) -> list[float]:
    with (workdir / "metrics.csv").open() as file:
        return [float(row["loss"]) for row in csv.DictReader(file)]
