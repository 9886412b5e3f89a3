"""Several processes on one run, a process of two that dies, and other devices than before."""

from __future__ import annotations

import csv
import random
import re
import shutil
import signal
import time
from pathlib import Path

import numpy as np

import score_sde
from experiments.faults import program
from experiments.faults.place import Place
from experiments.faults.program import NEW_STEP, SIGKILL, SIGTERM, STEPS, Program
from experiments.faults.table import Row

_STEP = re.compile(r"step \d+/")
_CLOSE = 1e-3  # of losses, relative: sums are added up in another order on other devices


def lock(place: Place) -> list[Row]:
    """A second process on a run is refused; where the first is killed it begins at once."""
    seconds, wrong = [], []
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
        ended, took = third.end(), third.at(NEW_STEP)
        holder.end()
        good = code == 2 and refused and not ended and program.same_state(place, workdir)
        if not good:
            wrong.append(number)
            place.say(f"lock {number}: {code}: {second.text[-800:]}; {ended}: {third.text[-800:]}")
        seconds.append(third.age if took is None else took)
        shutil.rmtree(workdir, ignore_errors=True)
        place.say(f"lock {number + 1}/{place.times}: {seconds[-1]:.1f} s")
    outcome = "the second is refused by one line; after SIGKILL of the first it trains at once"
    outcome = outcome if not wrong else f"{len(wrong)} did not"
    fault = "two processes on one run"
    return [Row("lock", fault, outcome, place.times, tuple(seconds), not wrong)]


def peer(place: Place) -> list[Row]:
    """One of two processes that train together is killed."""
    rng, seconds, recoveries, wrong = place.random("peer"), [], [], []
    times = max(1, place.times // 5)
    for number in range(times):
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
        seconds.append(time.monotonic() - begin)
        two[victim].end()
        line = f"error: process {victim} of 2 has died. "
        again = _two(place, command)
        ended, took = [each.end() for each in again], again[0].at(NEW_STEP)
        good = code == 1 and line in other.text and not any(ended) and seconds[-1] < 60
        if not good or not _close(place, workdir):
            wrong.append(number)
            place.say(f"peer {number}: {code}: {other.text[-1500:]}; {again[0].text[-800:]}")
        recoveries.append(again[0].age if took is None else took)
        shutil.rmtree(workdir, ignore_errors=True)
        place.say(f"peer {number + 1}/{times}: {seconds[-1]:.1f} s")
    outcome = (
        f"the other ends with one line after {max(seconds):.1f} s at most; the same commands go "
        "on to the losses of one process, to rounding"
    )
    outcome = outcome if not wrong else f"{len(wrong)} did not"
    fault = "SIGKILL of one of two processes that train together"
    return [Row("peer", fault, outcome, times, tuple(recoveries), not wrong)]


def _two(place: Place, command: tuple[str, ...]) -> list[Program]:
    job = str(random.SystemRandom().randrange(2**20))  # JAX derives the port from it
    shared = {
        "SLURM_JOB_ID": job,
        "SLURM_STEP_NODELIST": "localhost",
        "SLURM_STEP_NUM_NODES": "1",
        "SLURM_NTASKS": "2",
    }
    return [
        Program(*command, place=place, SLURM_PROCID=str(n), SLURM_LOCALID=str(n), **shared)
        for n in range(2)
    ]


def mesh(place: Place) -> list[Row]:
    """Begun on some devices and ended on others."""
    seconds, wrong = [], []
    pairs = ((1, ()), (8, ("--config.training.fsdp=4",))), ((8, ()), (1, ()))
    for number, ((first, before), (second, after)) in enumerate(pairs):
        workdir = place.folder / f"mesh-{number}"
        begun = Program(*program.training(workdir, *before), devices=first, place=place)
        begun.wait(lambda begun=begun: begun.at(re.compile(rf"step {STEPS // 5}/")))
        begun.send(SIGTERM)
        code = begun.end()
        again = Program(*program.training(workdir, *after), devices=second, place=place)
        ended, took = again.end(), again.at(NEW_STEP)
        stopped = "stopped by SIGTERM" in begun.text
        if code or ended or not stopped or not _close(place, workdir):
            wrong.append((first, second))
            place.say(f"mesh {first} to {second}: {code}, {ended}: {again.text[-1500:]}")
        seconds.append(again.age if took is None else took)
        place.say(f"mesh {first} to {second}: {seconds[-1]:.1f} s")
    outcome = "the losses are those of one device, to rounding"
    outcome = outcome if not wrong else f"{wrong}: not so"
    fault = "training goes on with other devices: 1, then 8 (data 2, fsdp 4); 8, then 1"
    return [Row("mesh", fault, outcome, len(pairs), tuple(seconds), not wrong)]


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
