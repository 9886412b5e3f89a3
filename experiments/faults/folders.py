"""A folder that is full, read-only or gone: one line, nothing lost, and the same command goes on.

The first two are mounts in a namespace of their own, which nobody else sees: root may write to what
is read-only for others, and a small disk is full at another byte each time.
"""

from __future__ import annotations

import dataclasses
import re
import shutil
import subprocess
from pathlib import Path

from experiments.faults import program
from experiments.faults.attempts import Attempts
from experiments.faults.place import Place
from experiments.faults.program import NEW_STEP, Program
from experiments.faults.table import Row

_NAMESPACE = ("unshare", "-rm")
# A disk of so many bytes, on which a command fails; then there is room, and it is given once more.
_FULL = """
mount -t tmpfs -o size=$SIZE tmpfs "$DISK" || exit 70
"$@"; echo "first: exit code $?"
mount -o remount,size=1G "$DISK"; echo "-- again --"
"$@"; echo "second: exit code $?"
cp -r "$DISK/run" "$KEPT"
"""
_READ_ONLY = """
mount --bind "$DISK" "$DISK" && mount -o remount,ro,bind "$DISK" || exit 70
"$@"
"""


def _cannot(place: Place, name: str, fault: str) -> list[Row] | None:
    """A row that says that mounts are not possible here; None if they are."""
    probe = place.folder / "probe"
    probe.mkdir(exist_ok=True)
    script = 'mount -t tmpfs tmpfs "$0"'
    try:
        tried = subprocess.run([*_NAMESPACE, "sh", "-c", script, str(probe)], capture_output=True)
        reason = tried.stderr.decode().strip()
    except OSError as error:
        reason = f"unshare: {error.strerror}"
    else:
        if tried.returncode == 0:
            return None
    return [Row(name, fault, f"this machine mounts nothing for a user ({reason})", 0, (), None)]


def full(place: Place) -> list[Row]:
    """A disk that is full while training writes a checkpoint, or before."""
    fault = "a disk that is full, at a random size, while training writes to it"
    if row := _cannot(place, "full_disk", fault):
        return row
    needed = sum(path.stat().st_size for path in program.finished(place)[0].rglob("*"))
    rng, attempts, hit = place.random("full_disk"), Attempts(place, "full_disk", place.times), 0
    for number in range(place.times):
        disk, kept = place.folder / f"disk-{number}", place.folder / f"kept-{number}"
        disk.mkdir()
        size = rng.randrange(8192, needed)
        before = (*_NAMESPACE, "sh", "-c", _FULL, "sh")
        names = {"SIZE": str(size), "DISK": str(disk), "KEPT": str(kept)}
        command = program.training(disk / "run")
        both = Program(*command, before=before, place=place, **names)
        both.end()
        first, _, second = both.text.partition("-- again --\n")
        refused = "first: exit code 2" in first and program.one_line(first)
        hit += refused
        went_on = "second: exit code 0" in second and program.same_state(place, kept)
        began = both.at(re.compile("^-- again --$"))
        steps = [at for at in both.all(NEW_STEP) if began is not None and at > began]
        took = steps[0] - began if refused and steps else None
        good = (refused or "first: exit code 0" in first) and went_on
        attempts.note(number, good, took, f"{size} bytes", first, second)
        shutil.rmtree(kept, ignore_errors=True)
    outcome = (
        f"{hit} end with exit code 2 and one line, the others had room; with room again the same "
        "command goes on to the same bits"
    )
    row = attempts.row(fault, outcome)
    return [row if hit else dataclasses.replace(row, ok=False)]


def read_only(place: Place) -> list[Row]:
    """A run's folder that cannot be written: training, sampling and evaluation."""
    fault = "a read-only folder of a run: training on, sampling, evaluation"
    if row := _cannot(place, "read_only", fault):
        return row
    workdir = program.copy(place, "read-only")
    before, attempts = _content(workdir), Attempts(place, "read_only", 3)
    evaluate = "--config.evaluation.metrics=('loss_by_time',)"
    for more in ((), ("--mode=sample",), ("--mode=evaluate", evaluate)):
        command = ("main.py", f"--workdir={workdir}", *more)
        if not more:
            command += (f"--config.training.steps={program.STEPS + 10}",)
        wrapped = (*_NAMESPACE, "sh", "-c", _READ_ONLY, "sh")
        refused = Program(*command, before=wrapped, place=place, DISK=str(workdir))
        code, took = refused.end(), refused.age
        good = code == 2 and program.one_line(refused.text) and _content(workdir) == before
        attempts.note(" ".join(more) or "training", good, took, code, refused.text)
    return [attempts.row(fault, "exit code 2 and one line, nothing is changed")]


def vanished(place: Place) -> list[Row]:
    """A run's folder that somebody removes while it trains."""
    _, span = program.finished(place)
    rng, attempts = place.random("vanished"), Attempts(place, "vanished", place.times)
    for number in range(place.times):
        workdir = place.folder / f"vanished-{number}"
        command = program.training(workdir)
        begun = Program(*command, place=place)
        begun.wait((workdir / "checkpoints").exists)
        begun.reach(begun.age + rng.uniform(0, span / 2))
        shutil.rmtree(workdir.rename(place.folder / "gone"), ignore_errors=True)
        code, left = begun.end(), workdir.exists()
        again = Program(*command, place=place)
        ended, took = again.end(), again.recovery()
        clear = (code == 2 and program.one_line(begun.text)) or code == 0
        good = clear and not left and not ended and program.same_state(place, workdir)
        attempts.note(number, good, took, code, begun.text, f"left: {left}", ended, again.text)
        shutil.rmtree(workdir, ignore_errors=True)
    fault = "the folder of a run is removed while it trains, at a random moment"
    outcome = "exit code 2 and one line, it is not made again; the same command begins again"
    return [attempts.row(fault, outcome)]


def _content(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
