"""Speed, memory and compile times of recipes on this machine; README.md says what each number is.

python -m experiments.throughput [--recipes=digits_vp] [--works=training] [--peer]
"""

from __future__ import annotations

import argparse
import datetime
import importlib.util
import itertools
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from experiments.throughput import cases, children, tables
from experiments.throughput.cases import Case
from score_sde import files, terminal
from score_sde.errors import UserError

RESULTS = Path(__file__).parent / "results"
DTYPES = ("float32", "bfloat16")
FIT = "fit"


@terminal.program
def main(argv: Sequence[str]) -> int:
    """Measure and write; exit code 2 for bad input."""
    asked = _parsed(argv[1:])
    machine = children.machine(asked.limit)
    words = [word for word in argv[1:] if not word.startswith("--results")]
    command = shlex.join(["python", "-m", "experiments.throughput", *words])
    print(f"{machine['kind']}: {machine['devices']} devices, {machine['cores']} cores", flush=True)
    if asked.profile:
        for recipe in asked.recipes:
            case = Case(cases.TRAINING, recipe, batch=_batches(asked, recipe)[0])
            print(children.profile(case, asked.limit), flush=True)
        return 0
    rows = tables.read(asked.results, machine["name"])
    for row in _rows(asked, machine["devices"]):
        row["date"] = datetime.date.today().isoformat()
        rows = tables.with_row(rows, row)
        tables.write(asked.results, machine, rows, command)
        print(tables.line(row), flush=True)
    print(f"wrote {os.path.relpath(asked.results / machine['name'])}.md, .csv and .json")
    return 0


def _rows(asked: argparse.Namespace, there: int) -> Iterator[tables.Row]:
    """Measure one after the other; where batches double, until one does not work."""
    devices = dict.fromkeys(1 if word == "1" else there for word in asked.devices)
    groups = itertools.product(asked.works, asked.recipes, asked.dtypes, devices)
    for work, recipe, dtype, devices in groups:
        for batch in _batches(asked, recipe):
            case = Case(work, recipe, dtype, devices, batch, asked.seconds, asked.peer)
            row = children.row(case, asked.limit, alone=devices < there)
            yield row
            if "note" in row and asked.batches == FIT:
                break


def _batches(asked: argparse.Namespace, recipe: str) -> Sequence[int]:
    """Of a recipe; without end where they double."""
    if asked.batches == FIT:
        first = cases.BATCHES.get(recipe, 1)
        return [first * 2**i for i in range(20)]
    return asked.batches or [cases.BATCHES.get(recipe, 1)]


def parser() -> argparse.ArgumentParser:
    """The flags."""

    def several(text: str) -> list[str]:
        return text.split(",")

    found = terminal.Parser("python -m experiments.throughput")
    found.add_argument("--recipes", type=several, default=list(cases.BATCHES))
    found.add_argument("--works", type=several, default=list(cases.WORKS))
    found.add_argument("--dtypes", type=several, default=list(DTYPES))
    found.add_argument(
        "--batches", default="", help=f"such as 8,16; or {FIT}: doubled for as long as they fit"
    )
    found.add_argument("--devices", type=several, default=["1", "all"], help="1, all or both")
    found.add_argument("--seconds", type=float, default=10.0, help="for which each is repeated")
    found.add_argument("--limit", type=float, default=900.0, help="seconds, of a row")
    found.add_argument("--peer", action="store_true", help="PyTorch beside it")
    found.add_argument("--profile", action="store_true", help="where the time of a step goes")
    found.add_argument("--results", type=files.typed, default=RESULTS, help="a folder")
    return found


def _parsed(words: Sequence[str]) -> argparse.Namespace:
    """What is asked, checked before anything is measured."""
    asked = parser().parse_args(words)
    for name, known in (("works", cases.WORKS), ("dtypes", DTYPES), ("devices", ("1", "all"))):
        if unknown := [word for word in getattr(asked, name) if word not in known]:
            raise UserError(f"--{name}: {unknown[0]!r} is none of {', '.join(known)}")
    if asked.batches != FIT:
        sizes = [word for word in asked.batches.split(",") if word]
        if not all(word.isdecimal() and int(word) for word in sizes):
            raise UserError(f"--batches={asked.batches}: give numbers, such as 8,16, or {FIT}")
        asked.batches = [int(word) for word in sizes]
    for recipe in asked.recipes:
        cases.config_of(recipe)
    if asked.peer and importlib.util.find_spec("torch") is None:
        raise UserError("--peer runs PyTorch, which is not here: pip install torch")
    return asked


if __name__ == "__main__":
    sys.exit(main(sys.argv))
