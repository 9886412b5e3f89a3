"""evaluation.json: every number that was measured of a run, with what determines it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from score_sde import files, records
from score_sde.errors import UserError
from score_sde.evaluation import judgement
from score_sde.evaluation.asked import Asked
from score_sde.evaluation.metric import AUTOENCODER, CLASSIFIER, DENOISER, SAMPLES, Entries, Metric
from score_sde.evaluation.subject import Subject
from score_sde.objectives import is_a, with_article


def evaluate(subject: Subject, asked: Asked, first: bool) -> Entries:
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
    path = subject.workdir / "evaluation.json"
    read(path)  # a file that is damaged is found before hours of work
    if first:
        files.check_writable(path)
    for name, metric in asked.metrics.items():
        needed = DENOISER if metric.NEEDS == SAMPLES else metric.NEEDS
        drawn = metric.NEEDS == SAMPLES and subject.trains not in (CLASSIFIER, AUTOENCODER)
        if not drawn and not is_a(subject.trains, needed):
            raise UserError(
                f"config.evaluation.metrics: {name} is of {with_article(needed)}, and "
                f"{subject.workdir} holds {with_article(subject.trains)}"
            )
    judges = {name: m for name, m in asked.metrics.items() if m.NEEDS == SAMPLES}
    ready = []
    for name, metric in asked.metrics.items():
        if name not in judges:
            ready.append(_prepared(subject, name, metric))
        elif name == next(iter(judges)):  # with all others, of one set of samples
            ready.append(judgement.prepare(subject, asked.samples, judges))
    measured: Entries = {}
    for measure in ready:
        entries = measure()
        measured |= entries
        if first:
            with files.writing(subject.workdir):
                # Read again: another evaluation of this run may have written in the meantime.
                _write(path, read(path) | entries)
    return measured


def _prepared(subject: Subject, name: str, metric: Metric) -> Callable[[], Entries]:
    try:
        return metric.prepare(subject)
    except ValueError as error:
        raise UserError(f"config.evaluation.{name}: {error}") from error


def read(path: Path) -> dict[str, Any]:
    """The entries of an evaluation.json, by the metric's name; none if there is no such file.

    Raises:
        UserError: it is not one, or a number in it was changed since it was measured.
    """
    try:
        values = records.read(path) or {}
    except ValueError as error:
        raise UserError(f"{path} is no table of metrics: it {error}. Remove it") from error
    entries = {}
    for name, entry in values.items():
        try:
            entries[name] = records.unsealed(entry) if isinstance(entry, dict) else entry
        except ValueError as error:
            raise UserError(
                f"{path}: {name} {error}. Undo that, or remove the file to measure again"
            ) from error
    return entries


def _write(path: Path, entries: Entries) -> None:
    """Write entries, each with a checksum of what it says; see score_sde.records."""
    sealed = {n: records.sealed(e) if isinstance(e, dict) else e for n, e in entries.items()}
    files.write_json(path, sealed)
