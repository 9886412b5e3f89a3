"""Reading a run's folder: nothing in it needs JAX, and any part of it may not be there yet."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from score_sde import metrics_csv, records
from score_sde.errors import UserError
from score_sde.report.chart import Point

Values = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Record:
    """What a run's folder says.

    Attributes:
        workdir: the folder.
        config: its config, by section.
        found: what was found out when it began: data, parameters, versions.
        metrics: the columns of metrics.csv, each as points (step, value).
        damage: what is wrong with metrics.csv, words that follow its name, or "".
        evaluation: the entries of evaluation.json by metric; empty before the first.
    """

    workdir: Path
    config: Values
    found: Values
    metrics: Mapping[str, Sequence[Point]]
    damage: str
    evaluation: Values

    @property
    def step(self) -> int:
        """The last step that it tells of, by its metrics or, if it has none, its checkpoints."""
        logged = [int(points[-1].x) for points in self.metrics.values()]
        return max(logged or steps(self.workdir / "checkpoints"), default=0)


def record(workdir: Path) -> Record:
    """Read a run.

    Args:
        workdir: its folder.

    Raises:
        UserError: there is no run in the folder, or a file of it cannot be read.
    """
    path = workdir / "config.json"
    values = _json(path)
    if values is None:
        raise UserError(f"no run in {workdir}: it has no config.json; train one first")
    for section in ("run", "data", "training", "sde"):
        if not isinstance(values.get(section), dict):
            raise UserError(f"{path} is not a run's config: it has no section {section}")
    values = _unsealed(values, str(path), inside="run")
    found = values.pop("run")
    path = workdir / "evaluation.json"
    evaluation = {
        name: _unsealed(entry, f"{path}: {name}") if isinstance(entry, dict) else entry
        for name, entry in (_json(path) or {}).items()
    }
    return Record(workdir, values, found, *metrics(workdir), evaluation)


def metrics(workdir: Path) -> tuple[dict[str, list[Point]], str]:
    """The columns of a run's metrics.csv, each as points (step, value), and what is wrong with it.

    Of a damaged file, only the rows that are whole; of none, nothing.
    """
    rows, damage = metrics_csv.read_rows(workdir / metrics_csv.NAME)
    curves: dict[str, list[Point]] = {}
    for step, *words in rows:
        for name, word in zip(metrics_csv.COLUMNS[1:], words, strict=True):
            if word:  # what was not measured at this step is empty
                curves.setdefault(name, []).append(Point(int(step), float(word)))
    return curves, damage


def steps(folder: Path, suffix: str = "") -> list[int]:
    """The numbers that a folder's files, or folders, are named by; in order."""
    return sorted(int(path.stem) for path in folder.glob(f"*{suffix}") if path.stem.isdecimal())


def pictures(workdir: Path, most: int) -> list[tuple[int, Path]]:
    """Pairs of a step and the picture drawn there, spread over training, first and last included.

    Args:
        workdir: the run's folder.
        most: at most so many, two or more.
    """
    found = steps(workdir / "samples", ".png")
    if len(found) > most:
        found = [found[round((len(found) - 1) * i / (most - 1))] for i in range(most)]
    return [(step, workdir / "samples" / f"{step}.png") for step in found]


def _json(path: Path) -> dict[str, Any] | None:
    """A JSON object, or None if there is no such file."""
    try:
        return records.read(path)
    except ValueError as error:
        raise UserError(f"{path} {error}") from error


def _unsealed(values: dict[str, Any], name: str, inside: str = "") -> dict[str, Any]:
    try:
        return records.unsealed(values, inside=inside)
    except ValueError as error:
        raise UserError(f"{name} {error}") from error
