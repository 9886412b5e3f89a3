"""Speed, memory and compile times of recipes on this machine; README.md says what each number is.

    python -m experiments.throughput [--recipes=digits_vp] [--works=training] [--peer]

What is measured is printed, and written to tables in the folder results/ beside this file.
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
from score_sde import files, interrupts, terminal
from score_sde.errors import UserError

RESULTS = Path(__file__).parent / "results"
DTYPES = ("float32", "bfloat16")
FIT = "fit"
LONGEST = 1e6  # seconds that a process can be waited for, twelve days


@terminal.program
def main(argv: Sequence[str]) -> int:
    """Measure and write; exit code 2 for bad input."""
    interrupts.listen()
    asked = _parsed(argv[1:])
    machine = children.machine(asked.limit)
    count = machine["devices"]
    print(
        f"{machine['kind']}: {count} device{'s' * (count > 1)}, {machine['cores']} cores",
        flush=True,
    )
    if asked.profile:
        for recipe, dtype in itertools.product(asked.recipes, asked.dtypes):
            for batch in _batches(asked, recipe):
                case = Case(cases.TRAINING, recipe, dtype, batch=batch)
                print(children.profile(case, asked.limit), flush=True)
        return 0
    rows = tables.read(asked.results, machine["name"])
    for row in _rows(asked, machine["devices"]):
        row["date"] = datetime.date.today().isoformat()
        rows = tables.with_row(rows, row)
        tables.write(asked.results, machine, rows, _command(argv[1:]))
        print(tables.line(row), flush=True)
    print(f"wrote {os.path.relpath(asked.results / machine['name'])}.md, .csv and .json")
    return 0


def _command(words: Sequence[str]) -> str:
    """By which it is measured again, wherever the tables go."""
    kept = terminal.without(words, "--results")
    return shlex.join(["python", "-m", "experiments.throughput", *kept])


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
        return list(dict.fromkeys(text.split(",")))

    def seconds(text: str) -> float:
        value = float(text)
        if not 0 <= value <= LONGEST:
            raise argparse.ArgumentTypeError(f"{text} is not from 0 to {LONGEST:,.0f}")
        return value

    found = terminal.Parser.of("python -m experiments.throughput", __doc__)

    def names(flag: str, known: Sequence[str]) -> None:
        other = ", or any other recipe" if flag == "--recipes" else ""
        help = f"some of {', '.join(known)} [all of them]{other}"
        found.add_argument(flag, type=several, metavar="NAME,...", help=help)

    names("--recipes", list(cases.BATCHES))
    names("--works", cases.WORKS)
    names("--dtypes", DTYPES)
    found.add_argument(
        *("--batches",),
        default="",
        metavar="N,...",
        help=f"such as 8,16; or {FIT}: doubled for as long as they fit [128 digits, 8 of CIFAR-10, "
        "1 of others]",
    )
    found.add_argument("--devices", type=several, help="1, all, or both with a comma [both]")
    found.add_argument(
        "--seconds", type=seconds, default=10.0, help="for which each work is repeated [10]"
    )
    found.add_argument(
        "--limit",
        type=seconds,
        default=900.0,
        help="seconds that a process of a row may take [900]",
    )
    found.add_argument("--peer", action="store_true", help="PyTorch beside it")
    found.add_argument(
        "--profile",
        action="store_true",
        help="in place of tables, where the time of training steps on one device goes; in float32, "
        "if no --dtypes are given",
    )
    found.add_argument("--results", type=files.typed, default=RESULTS, help="a folder")
    return found


_ALL = {"recipes": cases.BATCHES, "works": cases.WORKS, "dtypes": DTYPES, "devices": ("1", "all")}


def _profiled(asked: argparse.Namespace) -> None:
    """Checked: a profile is of what it is of, whatever else is asked."""
    asked.dtypes = asked.dtypes or ["float32"]
    for name, only in (("works", [cases.TRAINING]), ("devices", ["1"]), ("peer", False)):
        if getattr(asked, name) not in (None, only):
            raise UserError(
                f"--profile is of training on one device, ours alone: leave out --{name}"
            )
    if asked.batches == FIT:
        raise UserError(f"--profile takes batches as numbers, not --batches={FIT}")


def _parsed(words: Sequence[str]) -> argparse.Namespace:
    """What is asked, checked before anything is measured."""
    asked = parser().parse_args(words)
    if asked.profile:
        _profiled(asked)
    for name, every in _ALL.items():
        setattr(asked, name, getattr(asked, name) or list(every))
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
