"""From a study's rows to jobs: each training once, however many rows measure it."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from score_sde.data import BY_PATH
from score_sde.errors import UserError
from score_sde.files import expanded
from score_sde.sweep import identity, results
from score_sde.sweep.job import Job
from score_sde.sweep.program import MAIN, Program, flags
from score_sde.sweep.rows import Row, rows
from score_sde.sweep.study import Study, load, root_of
from score_sde.version import __version__


@dataclasses.dataclass(frozen=True)
class Plan:
    """A study with its places on disk.

    Attributes:
        study: the study.
        folder: its folder.
        results: the folder of its results.
        rows: its rows.
        trainings: the job that trains each run, by identity.
        evaluations: the job of each row, by identity.
    """

    study: Study
    folder: Path
    results: Path
    rows: tuple[Row, ...]
    trainings: dict[str, Job]
    evaluations: dict[str, Job]

    @property
    def undone(self) -> list[Job]:
        """The jobs that are left, a training right before the first row that needs it."""
        jobs: dict[str, Job] = {}
        for row in self.rows:
            if self.evaluations[row.id].done():
                continue
            if not self.trainings[row.trained].done():
                jobs.setdefault(row.trained, self.trainings[row.trained])
            jobs[row.id] = self.evaluations[row.id]
        return list(jobs.values())


def plan(folder: Path, smoke: bool = False, data_dir: str | None = None) -> Plan:
    """The plan of a folder's study.

    Args:
        folder: with a sweep.py.
        smoke: whether it is the small study.
        data_dir: where the data lie, if not where the recipes say; part of no identity.

    Raises:
        UserError: the study has a mistake.
    """
    folder = Path(folder).resolve()
    study, root = load(folder, smoke), root_of(folder)
    measured = folder / "results" / ("smoke" if smoke else "")
    found = tuple(rows(study, root))
    more = {"data.dir": _data_dir(data_dir, found)} if data_dir else {}
    trainings: dict[str, Job] = {}
    for row in found:
        if row.trained not in trainings:
            home = _home(folder, row.trained)
            trainings[row.trained] = Job(
                id=row.trained,
                name=f"training of {row.name}",
                runs=home,
                root=root,
                programs=_expanded(
                    row.train, row, home / row.trained, root, {**_of_training(row), **more}
                ),
                record={"settings": identity.of_training(row.config)},
            )
    runs = folder / "runs"
    for row in found:
        _check_result(measured / f"{row.id}.json", row)
    evaluations = {
        row.id: Job(
            id=row.id,
            name=row.name,
            runs=runs,
            root=root,
            programs=_expanded(row.programs, row, runs / row.id, root, {**row.changes, **more}),
            trained=trainings[row.trained].folder,
            result=measured / f"{row.id}.json",
            record=_record(row),
        )
        for row in found
    }
    return Plan(study, folder, measured, found, trainings, evaluations)


def _data_dir(given: str, found: Sequence[Row]) -> str:
    """The path for programs that run elsewhere than it was typed."""
    if any(row.config.data.name in BY_PATH for row in found):
        raise UserError("--data_dir: one's own folder or file is given in sweep.py, as data.dir")
    return os.path.abspath(expanded(given))


def _of_training(row: Row) -> dict[str, Any]:
    """The changes that concern training; the rows that share it differ in the others."""
    others = ("sampling.", "guidance.", "evaluation.")
    return {path: value for path, value in row.changes.items() if not path.startswith(others)}


def _home(folder: Path, trained: str) -> Path:
    """The folder of runs that a training belongs to: that of the study which began it.

    Studies side by side share what they train: Tables 1, 4 and 5 ask about the same two networks.
    """
    own = folder / "runs"
    others = sorted(folder.parent.glob(f"*/runs/{trained}"))
    return own if (own / trained).exists() or not others else others[0].parent


def _expanded(
    programs: Sequence[Program], row: Row, run: Path, root: Path, changes: dict[str, Any]
) -> tuple[Program, ...]:
    values = {
        "python": sys.executable,
        "run": os.path.relpath(run, root),
        "steps": str(row.config.training.steps),
        "seed": str(row.config.seed),
    }
    expanded = tuple(program.expand(values, flags(changes)) for program in programs)
    if (root / MAIN).is_file():
        return expanded
    return tuple(program.by_module() for program in expanded)


def _check_result(path: Path, row: Row) -> None:
    """Raise UserError if a row's file is no result, or one of a time with another default."""
    known = results.read(path, settings=dict)
    if known is None:
        return
    if not isinstance(known.get("evaluation"), dict) or known.get("id", row.id) != row.id:
        raise UserError(f"{path} is not the result of this row: delete it to do its row again")
    changed = identity.contradiction(known.get("settings", {}), row.settings)
    if changed:
        raise UserError(
            f"{path} is a result of another default: {changed}. Delete it to measure {row.name} "
            "again, or give the old value in sweep.py"
        )


def _record(row: Row) -> dict[str, Any]:
    return {
        "labels": dict(row.point.labels),
        "seed": row.seed,
        "id": row.id,
        "trained": row.trained,
        "changes": dict(row.changes),
        "settings": dict(row.settings),
        "score_sde": __version__,
    }
