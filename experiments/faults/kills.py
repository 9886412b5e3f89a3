"""SIGKILL at any moment: the same command leaves what an undisturbed one does, to the last bit."""

from __future__ import annotations

import dataclasses
import json
import random
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from experiments.faults import inputs, program
from experiments.faults.attempts import Attempts
from experiments.faults.place import Place
from experiments.faults.program import NEW_STEP, Program
from experiments.faults.table import Row
from score_sde import data


@dataclasses.dataclass(frozen=True)
class Work:
    """What is killed.

    Attributes:
        name: of the row.
        what: in words.
        command: of a folder that does not exist, or that `begin` has made: the words of a program.
        result: what it leaves there, in values that can be compared.
        recovered: the line that says that it goes on or is done.
        begin: makes the folder before.
        in_write: whether something is being written in the folder; None if that is not watched.
        all: whether the programs that it starts are killed too.
    """

    name: str
    what: str
    command: Callable[[Path], tuple[str, ...]]
    result: Callable[[Path], Any]
    recovered: re.Pattern[str]
    begin: Callable[[Path], None] = lambda folder: None
    in_write: Callable[[Path], bool] | None = None
    all: bool = False


def rows(place: Place, work: Work) -> list[Row]:
    """Kill so many times, each time a new one, and let the same command finish."""
    expected, span = _undisturbed(place, work)
    rng, attempts, writes = place.random(work.name), Attempts(place, work.name, place.times), 0
    for number in range(place.times):
        folder = place.folder / f"{work.name}-{number}"
        _kill(place, rng, span, work, folder, inside=number % 2 == 1)
        writes += bool(work.in_write and work.in_write(folder))
        again = Program(*work.command(folder), place=place)
        code, took = again.end(), again.recovery(work.recovered)
        went_on = not code and again.at(work.recovered) is not None
        good = went_on and work.result(folder) == expected
        attempts.note(number, good, took, code, again.text)
        shutil.rmtree(folder)
    inside = f", {writes} of them in a write" if work.in_write else ""
    fault = f"SIGKILL of {work.what}, at random moments{inside}"
    return [attempts.row(fault, "the same bits as undisturbed")]


def _undisturbed(place: Place, work: Work) -> tuple[Any, float]:
    """The result, and the seconds that it takes with all compiled before."""
    results = []
    for name in ("first", "whole"):
        folder = place.folder / f"{work.name}-{name}"
        work.begin(folder)
        whole = Program(*work.command(folder), place=place)
        if whole.end():
            raise RuntimeError(f"{work.name} failed undisturbed: {whole.text}")
        results.append(work.result(folder))
    if results[0] != results[1]:
        raise RuntimeError(f"two undisturbed ones of {work.name} differ")
    return results[0], whole.age


def _kill(
    place: Place, rng: random.Random, span: float, work: Work, folder: Path, inside: bool
) -> None:
    """Kill a new one at a random moment; sooner, where it was done before."""
    code, share = 0, 1.0
    while code != -program.SIGKILL:
        shutil.rmtree(folder, ignore_errors=True)
        work.begin(folder)
        begun = Program(*work.command(folder), place=place)
        if inside and work.in_write:
            _wait_for_write(begun, rng, work, folder)
        else:
            begun.reach(rng.uniform(0, span * share))
        if work.all:
            begun.kill_all()
        else:
            begun.send(program.SIGKILL)
        code, share = begun.end(), share * 0.7


def _wait_for_write(begun: Program, rng: random.Random, work: Work, folder: Path) -> None:
    """Until one of the first writes, and some of the time that it may take."""
    for _ in range(rng.randrange(9)):
        begun.wait(lambda: work.in_write(folder))
        begun.wait(lambda: not work.in_write(folder))
    begun.wait(lambda: work.in_write(folder))
    time.sleep(rng.uniform(0, 0.1))


def _writes(folder: Path) -> bool:
    """Whether a checkpoint is being written: it appears under its name only when it is whole."""
    return any((folder / "checkpoints").glob("*.orbax-checkpoint-tmp*"))


def training(place: Place) -> list[Row]:
    """The arrays of the last checkpoint."""
    return rows(
        place,
        Work(
            "kill_training",
            "training",
            program.training,
            lambda folder: program.same_state(place, folder),
            NEW_STEP,
            in_write=_writes,
        ),
    )


def _copied(place: Place) -> Callable[[Path], None]:
    def begin(folder: Path) -> None:
        shutil.copytree(program.finished(place)[0], folder)

    return begin


def _opened(folder: Path, *more: str) -> tuple[str, ...]:
    return "main.py", f"--workdir={folder}", *more


def sampling(place: Place) -> list[Row]:
    """samples.npz, of many batches."""

    def result(folder: Path) -> bytes:
        with np.load(folder / "samples.npz") as file:
            return file["samples"].tobytes()

    return rows(
        place,
        Work(
            "kill_sampling",
            "--mode=sample",
            lambda folder: _opened(folder, "--mode=sample", "--num_samples=200"),
            result,
            re.compile("samples.npz"),
            _copied(place),
        ),
    )


def evaluation(place: Place) -> list[Row]:
    """The numbers of evaluation.json, of samples and of held-out examples."""
    fields = {
        "metrics": "('fid','loss_by_time')",
        "batch_size": "50",
        "num_examples": "200",
        "samples.features": "values",
        "samples.num_samples": "100",
    }
    flags = [f"--config.evaluation.{name}={value}" for name, value in fields.items()]
    return rows(
        place,
        Work(
            "kill_evaluation",
            "--mode=evaluate",
            lambda folder: _opened(folder, "--mode=evaluate", *flags),
            lambda folder: json.loads((folder / "evaluation.json").read_text()),
            re.compile("Wrote "),
            _copied(place),
        ),
    )


def preparation(place: Place) -> list[Row]:
    """The files of a prepared data set, and its examples in their order.

    The bytes of a record are not compared: protocol buffers write the fields of one in any order.
    """

    def result(folder: Path) -> tuple[list[Path], dict[str, bytes]]:
        files = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
        examples = {}
        for split in ("train", "test"):
            source = data.load("digits", split, data_dir=folder)
            for name, array in source.gather(np.arange(len(source))).items():
                examples[f"{split} {name}"] = array.tobytes()
        return files, examples

    return rows(
        place,
        Work(
            "kill_preparation",
            "the preparation of a data set",
            lambda folder: ("-m", "score_sde.data", "prepare", "digits", f"--data_dir={folder}"),
            result,
            re.compile("is ready in"),
        ),
    )


def making(place: Place) -> list[Row]:
    """The files of data sets that are made of other files, byte by byte."""
    found = []
    for name, write in inputs.INPUTS.items():
        home = place.folder / f"inputs-{name}"
        home.mkdir()
        words = write(home)
        found += rows(
            place,
            Work(
                f"kill_making {name}",
                f"the preparation of {name}",
                lambda folder, words=words: (*_PREPARE, *words, f"--data_dir={folder}"),
                written,
                re.compile("is ready in"),
            ),
        )
    return [dataclasses.replace(row, name="kill_making") for row in found]


_PREPARE = ("-m", "score_sde.data", "prepare")


def written(folder: Path) -> dict[Path, bytes]:
    """The files of a folder, but for what was being written when it was killed."""
    return {
        path.relative_to(folder): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not any(part.endswith(".partial") for part in path.parts)
    }
