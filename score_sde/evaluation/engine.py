"""evaluation.json: every number that was measured of a run, with what determines it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from score_sde import files
from score_sde.checks import check_name
from score_sde.errors import UserError
from score_sde.evaluation import judgement
from score_sde.evaluation.metrics import bits_per_dim, loss_by_time, variational_bound
from score_sde.evaluation.options import BitsOptions, BoundOptions, CurveOptions, SampleOptions
from score_sde.evaluation.subject import Subject

# A metric's entries of evaluation.json, by name: "value", "standard_error" or None, "protocol", and
# whatever else it has to tell.
Entries = dict[str, dict[str, Any]]


class Section(NamedTuple):
    """Metrics that are measured together, with the options of one section evaluation.NAME.

    Attributes:
        options: the dataclass of that section.
        prepare: of the subject, the options and the metrics' names; it finds out what is missing
            before hours of work, not after, and returns what measures.
        metrics: the names of the metrics.
    """

    options: type
    prepare: Callable[[Subject, Any, Sequence[str]], Callable[[], Entries]]
    metrics: tuple[str, ...]


SECTIONS: dict[str, Section] = {
    "bits_per_dim": Section(BitsOptions, bits_per_dim.prepare, ("bits_per_dim",)),
    "samples": Section(SampleOptions, judgement.prepare, tuple(judgement.METRICS)),
    "variational_bound": Section(BoundOptions, variational_bound.prepare, ("variational_bound",)),
    "loss_by_time": Section(CurveOptions, loss_by_time.prepare, ("loss_by_time",)),
}


class Measurement(NamedTuple):
    """What is asked of a section.

    Attributes:
        section: its name.
        options: an instance of its options.
        names: some of its metrics.
    """

    section: str
    options: Any
    names: tuple[str, ...]


def measurements(names: Sequence[str], sections: Mapping[str, Any]) -> list[Measurement]:
    """What measures the metrics of these names, in their order.

    Args:
        names: of the metrics.
        sections: the fields of each section of the config, by its name.

    Raises:
        UserError: there is none, or no such metric, or an option cannot work.
    """
    of_metric = {metric: name for name, section in SECTIONS.items() for metric in section.metrics}
    if not names:
        raise UserError(f"config.evaluation.metrics is empty: name some of {', '.join(of_metric)}")
    asked: dict[str, list[str]] = {}
    try:
        for name in names:
            check_name("config.evaluation.metrics", name, of_metric)
            asked.setdefault(of_metric[name], []).append(name)
        # A mistake is one also where it would make no difference.
        options = {name: SECTIONS[name].options(**sections[name]) for name in SECTIONS}
        return [
            Measurement(section, options[section], tuple(metrics))
            for section, metrics in asked.items()
        ]
    except ValueError as error:
        raise UserError(str(error)) from error


def evaluate(subject: Subject, asked: Sequence[Measurement], first: bool) -> Entries:
    """Measure, and write each number to evaluation.json as soon as it is there.

    Args:
        subject: what to evaluate.
        asked: what to measure.
        first: whether this process writes.

    Returns:
        The entries that were measured, by name.

    Raises:
        UserError: a metric cannot be measured, or the folder cannot be written.
    """
    path = subject.run.workdir / "evaluation.json"
    read(path)  # a file that is damaged is found before hours of work
    ready = [SECTIONS[one.section].prepare(subject, one.options, one.names) for one in asked]
    measured: Entries = {}
    for measure in ready:
        entries = measure()
        measured |= entries
        if first:
            with files.writing(subject.run.workdir):
                # Read again: another evaluation of this run may have written in the meantime.
                files.write_json(path, read(path) | entries)
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
