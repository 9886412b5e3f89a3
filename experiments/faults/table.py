"""The table of faults: results/faults.json, and faults.md to be read."""

from __future__ import annotations

import dataclasses
import datetime
import json
import os
import platform
from collections.abc import Iterable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

_PACKAGES = ("jax", "jaxlib", "flax", "orbax-checkpoint", "grain", "hypothesis")


@dataclasses.dataclass(frozen=True)
class Row:
    """What became of a fault.

    Attributes:
        name: of the fault, as --only takes it.
        fault: what was done, in words.
        outcome: what came of it, in words; what is said there was checked.
        times: how often it was done.
        seconds: how long each recovery took, from the start of the same command to its first new
            step or its result; of what ends in a line, to that line.
        ok: whether the outcome is the one that is to be; None if it was not tried here.
    """

    name: str
    fault: str
    outcome: str
    times: int
    seconds: tuple[float, ...] = ()
    ok: bool | None = True


def header(command: str) -> dict[str, Any]:
    """What is to be known of the machine: the date, hardware, versions and the command."""
    return {
        "date": datetime.date.today().isoformat(),
        "hardware": f"{os.cpu_count()} cores of {_processor()}, {platform.system()}",
        "versions": {
            "python": platform.python_version(),
            **{name: metadata.version(name) for name in _PACKAGES},
        },
        "command": command,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(": ")[1] for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def write(folder: Path, about: dict[str, Any], rows: Sequence[Row]) -> None:
    """Write both files; rows of other faults that are there already stay, with their own header."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "faults.json"
    there = json.loads(path.read_text())["rows"] if path.exists() else []
    new = [{**dataclasses.asdict(row), "about": about} for row in rows]
    names = {row["name"] for row in new}
    every = [row for row in there if row["name"] not in names] + new
    path.write_text(json.dumps({"rows": every}, indent=1) + "\n")
    (folder / "faults.md").write_text(markdown(every))


def markdown(rows: Iterable[dict[str, Any]]) -> str:
    """A table for each command that measured some rows, below what is known of its machine."""
    tables: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        tables.setdefault(json.dumps(row["about"]), []).append(row)
    lines = ["# Faults"]
    for about, own in tables.items():
        lines += ["", _about(json.loads(about)), "", *_table(own)]
    return "\n".join(lines) + "\n"


def _about(about: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    return f"`{about['command']}`, {about['date']}, {about['hardware']}; {versions}."


def _table(rows: Sequence[dict[str, Any]]) -> list[str]:
    lines = ["| fault | outcome | times | recovery, seconds | ok |", "|---|---|---|---|---|"]
    for row in rows:
        ok = {True: "yes", False: "**no**", None: "not tried"}[row["ok"]]
        cells = (row["fault"], row["outcome"], row["times"], spread(row["seconds"]), ok)
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return lines


def spread(seconds: Sequence[float]) -> str:
    """The median of some durations, and the longest."""
    if not seconds:
        return ""
    return f"{np.median(seconds):.1f}, at most {max(seconds):.1f}"
