"""Damaged files of the newest checkpoint: found, and the one before is taken.

A bit of a parameter never differs unnoticed.
"""

from __future__ import annotations

import collections
import contextlib
import functools
import io
import random
import shutil
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import jax
import numpy as np

import score_sde
from experiments.faults import program
from experiments.faults.attempts import Attempts
from experiments.faults.place import Place
from experiments.faults.program import STEPS, Program
from experiments.faults.table import Row
from score_sde.errors import UserError
from score_sde.training.checkpoints import Checkpoints
from score_sde.training.optimizer import optimizer
from score_sde.training.state import TrainState, init_state

_BITS = 10  # flipped for each time that others are done

Damage = Callable[[Path, random.Random], None]


def _truncate(path: Path, rng: random.Random) -> None:
    with path.open("r+b") as file:
        file.truncate(rng.randrange(path.stat().st_size))


def _flip(path: Path, rng: random.Random) -> None:
    content, bit = bytearray(path.read_bytes()), rng.randrange(8 * path.stat().st_size)
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


def _remove(path: Path, rng: random.Random) -> None:
    path.unlink()


KINDS: dict[str, Damage] = {"truncated": _truncate, "bit-flipped": _flip, "removed": _remove}


class _Read:
    """The checkpoints of a copy of the undisturbed run, read as training does."""

    def __init__(self, place: Place, name: str):
        self.run = program.copy(place, name)
        self.newest = self.run / "checkpoints" / str(STEPS)
        self._sound = shutil.copytree(self.newest, place.folder / f"{name}-sound")
        experiment = score_sde.load(self.run).experiment
        make = functools.partial(
            init_state,
            model=experiment.network,
            optimizer=optimizer(experiment.optim, experiment.training.steps),
            averages=experiment.training.averages,
        )
        here = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
        self._shapes = jax.tree.map(
            lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=here),
            jax.eval_shape(make, jax.random.key(0)),
        )
        self._state = self._resume()[0]

    def files(self, pattern: str = "*") -> list[Path]:
        """Those of the newest checkpoint that hold something."""
        return sorted(p for p in self.newest.rglob(pattern) if p.is_file() and p.stat().st_size)

    def after(self, damage: Damage, path: Path, rng: random.Random) -> tuple[str, float]:
        """What comes of damage to a file, which is repaired again, and the seconds of reading."""
        damage(path, rng)
        begin = time.monotonic()
        try:
            with contextlib.redirect_stderr(io.StringIO()) as said:
                state = self._resume()[0]
        except UserError as error:
            return f"refused: {error}", time.monotonic() - begin
        else:
            return self._judged(state, said.getvalue()), time.monotonic() - begin
        finally:
            for left in (self.newest, *self.run.glob("checkpoints/damaged-*")):
                shutil.rmtree(left, ignore_errors=True)
            shutil.copytree(self._sound, self.newest)

    def _judged(self, state: TrainState, said: str) -> str:
        if int(state.step) == STEPS:
            same = jax.tree.all(jax.tree.map(_same, state, self._state))
            return "nothing that is read is in it" if same else "UNNOTICED"
        named = f"checkpoint {STEPS} in " in said and "is damaged: " in said
        return "found, the one before is taken" if named else "the one before is taken IN SILENCE"

    def _resume(self) -> tuple[TrainState, Any]:
        checkpoints = Checkpoints(self.run / "checkpoints", keep_last=3)
        try:
            return checkpoints.resume(self._shapes)
        finally:
            checkpoints.close()


def _same(one: jax.Array, other: jax.Array) -> bool:
    return np.asarray(one).tobytes() == np.asarray(other).tobytes()


_GOOD = ("found, the one before is taken", "nothing that is read is in it")


def _row(
    place: Place, name: str, fault: str, read: _Read, damages: Iterable[tuple[Damage, Path]]
) -> Row:
    rng, seconds = place.random(fault), []
    counts: collections.Counter[str] = collections.Counter()
    for damage, path in damages:
        outcome, took = read.after(damage, path, rng)
        counts[outcome] += 1
        if outcome == _GOOD[0]:
            seconds.append(took)
        if outcome not in _GOOD:
            place.say(f"{name}: {path.relative_to(read.newest)}: {outcome}")
    words = "; ".join(f"{number}: {outcome}" for outcome, number in counts.most_common())
    place.say(f"{name}: {words}")
    ok = set(counts) <= {*_GOOD} and counts[_GOOD[0]] > 0
    return Row(name, fault, words, counts.total(), tuple(seconds), ok)


def files(place: Place) -> list[Row]:
    """Every file of the newest checkpoint in turn, by each kind of damage."""
    read = _Read(place, "damaged-files")
    return [
        _row(
            place,
            "files",
            f"a file of the newest checkpoint is {kind}, each of {len(read.files())} in turn",
            read,
            [(damage, path) for path in read.files()],
        )
        for kind, damage in KINDS.items()
    ]


def bits(place: Place) -> list[Row]:
    """Random bits of the files that hold arrays."""
    read, rng = _Read(place, "damaged-bits"), place.random("which")
    arrays = [path for path in read.files() if path.parent.name == "d"]
    chosen = [(_flip, rng.choice(arrays)) for _ in range(_BITS * place.times)]
    return [_row(place, "bits", "a random bit of a file of arrays is flipped", read, chosen)]


def resumed(place: Place) -> list[Row]:
    """The program itself, from a damaged newest checkpoint to the end: of each kind of damage."""
    rng, attempts = place.random("resumed"), Attempts(place, "resumed", len(KINDS))
    for kind, damage in KINDS.items():
        workdir = program.copy(place, f"resumed-{kind}")
        arrays = sorted((workdir / "checkpoints" / str(STEPS)).glob("*/d/*"))
        damage(rng.choice(arrays), rng)
        again = Program(*program.training(workdir), place=place)
        code, took = again.end(), again.recovery()
        said = program.one_line(again.text, f"warning: checkpoint {STEPS} in ")
        good = not code and said and program.same_state(place, workdir)
        attempts.note(kind, good, took, code, again.text)
    fault = "training goes on where arrays of the newest checkpoint are damaged, in three ways"
    outcome = "it says so, goes on from the one before, and ends with the same bits"
    return [attempts.row(fault, outcome)]
