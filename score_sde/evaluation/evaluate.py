"""evaluation.json: every number that was measured of a run, with what determines it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from score_sde import runs
from score_sde.errors import UserError
from score_sde.evaluation.bits import bits_per_dim
from score_sde.evaluation.options import BitsOptions
from score_sde.evaluation.subject import Subject

# A metric is measured by a function of the subject and of its own options, which the section
# evaluation.NAME of the config holds; it returns its entry of evaluation.json: "value",
# "standard_error" or None, "protocol", and whatever else it has to tell.
METRICS: dict[str, tuple[Callable[..., dict[str, Any]], type]] = {
    "bits_per_dim": (bits_per_dim, BitsOptions),
}


def evaluate(subject: Subject, metrics: dict[str, Any], first: bool) -> dict[str, Any]:
    """Measure, and write each number to evaluation.json as soon as it is there.

    Args:
        subject: what to evaluate.
        metrics: the options of each metric, by its name.
        first: whether this process writes.

    Returns:
        The entries that were measured, by the metric's name.

    Raises:
        UserError: a metric cannot be measured, or the folder cannot be written.
    """
    path = subject.run.workdir / "evaluation.json"
    known = read(path)  # before hours of work, not after
    measured = {}
    for name, options in metrics.items():
        measured[name] = METRICS[name][0](subject, options)
        if first:
            known[name] = measured[name]
            with runs.writing(subject.run.workdir):
                runs.write_json(path, known)
    return measured


def read(path: Path) -> dict[str, Any]:
    """The entries of an evaluation.json, by the metric's name; none if there is no such file.

    Raises:
        UserError: it is not one.
    """
    if not path.exists():
        return {}
    try:
        values = json.loads(path.read_text())
    except json.JSONDecodeError as error:
        raise UserError(f"{path} cannot be read ({error}): remove it") from error
    if not isinstance(values, dict):
        raise UserError(f"{path} is not a table of metrics: remove it")
    return values
