"""SIGKILL of a sweep, and of all that it has started: the same command finishes it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from experiments.faults import kills, program
from experiments.faults.place import Place
from experiments.faults.table import Row

# A training and a row that samples and measures it, by the programs of the real studies.
_STUDY = """
from score_sde.sweep import EVALUATE, SAMPLE, Metric, Study, axis

CHANGES = {changes!r}


def study():
    return Study(
        title="In small",
        points=axis("steps", {{"5": {{"sampling.steps": 5}}}}),
        base=CHANGES,
        evaluate=[SAMPLE, EVALUATE],
        metrics=[Metric("loss", "loss_by_time")],
    )
"""
_TIMES = ("seconds", "date", "finished", "host")


def killed(place: Place) -> list[Row]:
    """The numbers of its rows."""
    changes = program.SMALL | {
        "config": str(program.ROOT / program.RECIPE),
        "training.steps": 40,
        "sampling.num_samples": 20,
        "evaluation.metrics": ("loss_by_time",),
        "evaluation.num_examples": 50,
    }

    def begin(folder: Path) -> None:
        folder.mkdir()
        (folder / "sweep.py").write_text(_STUDY.format(changes=changes))

    def result(folder: Path) -> list[Any]:
        paths = sorted((folder / "results").glob("*.json"))
        return [_numbers(json.loads(path.read_text())["evaluation"]) for path in paths]

    work = kills.Work(
        "kill_sweep",
        "a sweep with its programs",
        lambda folder: ("-m", "score_sde.sweep", "run", str(folder)),
        result,
        re.compile(r"^(start|wait) |1 of 1 rows"),
        begin,
        all=True,
    )
    return kills.rows(place, work)


def _numbers(node: Any) -> Any:
    """What was measured, without when and how long it took."""
    if isinstance(node, dict):
        return {name: _numbers(value) for name, value in node.items() if name not in _TIMES}
    return [_numbers(value) for value in node] if isinstance(node, list) else node
