"""The table of a study, beside the published numbers: Markdown to read, CSV to compute with."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from score_sde.sweep import results
from score_sde.sweep.plan import Plan
from score_sde.sweep.results import Number
from score_sde.sweep.study import Labels, Metric, Study

MISSING = "—"


@dataclasses.dataclass(frozen=True)
class Line:
    """What was measured at a point of a study.

    Attributes:
        labels: of the point, by axis.
        numbers: by the metric's name, over the seeds; None where nothing is known yet.
        seeds: how many seeds have a result.
    """

    labels: Mapping[str, str]
    numbers: Mapping[str, Number | None]
    seeds: int


def lines(plan: Plan) -> list[Line]:
    """A line for each point of a study, in its order, from the results that there are."""
    found = []
    for point in plan.study.points:
        jobs = [plan.evaluations[row.id] for row in plan.rows if row.point == point]
        measured = [m for job in jobs if (m := results.read(job.result)) is not None]
        numbers = {
            metric.name: results.over_seeds(
                [results.read_metric(m["evaluation"], metric.path) for m in measured]
            )
            for metric in plan.study.metrics
        }
        found.append(Line(point.labels, numbers, len(measured)))
    return found


def unknown(plan: Plan) -> list[str]:
    """The paths of metrics that no result has, although there are results: mistyped, it seems."""
    found = lines(plan)
    if not any(line.seeds for line in found):
        return []
    wanted = plan.study.metrics
    return [m.path for m in wanted if all(line.numbers[m.name] is None for line in found)]


def write(plan: Plan) -> tuple[Path, Path]:
    """Write table.md and table.csv into the folder of results.

    Returns:
        Their paths.
    """
    found = lines(plan)
    markdown_path, csv_path = plan.results / "table.md", plan.results / "table.csv"
    results.write(markdown_path, markdown(plan.study, found))
    results.write(csv_path, as_csv(plan.study, found))
    return markdown_path, csv_path


def markdown(study: Study, found: Sequence[Line]) -> str:
    """The table as Markdown.

    Args:
        study: the study.
        found: its lines.
    """
    parts = [f"# {study.title}"]
    if study.note:
        parts.append(study.note)
    if study.best:
        parts.append(_grid(*best_cells(study, found)))
    parts.append(_grid(*cells(study, found)))
    parts += notes(found)
    return "\n\n".join(parts) + "\n"


def notes(found: Sequence[Line]) -> list[str]:
    """What the signs in the cells of these lines mean."""
    errors = [n for line in found for n in line.numbers.values() if n and n.error]
    stated = "that the evaluation states"
    if any(n.count > 1 for n in errors):
        alone = f"; of one seed, the one {stated}" if any(n.count == 1 for n in errors) else ""
        said = [f"± is the standard error of the mean over the seeds{alone}."]
    else:
        said = [f"± is the standard error {stated}."] if errors else []
    return [*said, f"{MISSING}: not measured yet, not finite, or not published."]


def cells(study: Study, found: Sequence[Line]) -> tuple[list[str], list[list[str]]]:
    """The heading and the cells of the table of all points."""
    published = study.published and not study.best
    head = list(study.axes)
    for metric in study.metrics:
        head.append(metric.name)
        head += [f"{metric.published or metric.name}, published"] if published else []
    body = []
    for line in found:
        row = list(line.labels.values())
        for metric, text in zip(study.metrics, _published(study, line), strict=True):
            row.append(_cell(line, metric))
            row += [text] if published else []
        body.append([*row, str(line.seeds)])
    return [*head, "seeds"], body


def best_cells(study: Study, found: Sequence[Line]) -> tuple[list[str], list[list[str]]]:
    """The heading and the cells of the table of the best value along an axis."""
    best, groups = study.best, {}
    metric = next(m for m in study.metrics if m.name == best.metric)
    for point, line in zip(study.points, found, strict=True):
        groups.setdefault(study.group(point), []).append(line)
    axes = [axis for axis in study.axes if axis != best.axis]
    head = [*axes, f"best {best.axis}", f"best {best.axis}, published", f"{metric.name} there"]
    body = []
    for labels, members in groups.items():
        known = [line for line in members if line.numbers[metric.name] is not None]
        chosen = min(known, key=lambda line: line.numbers[metric.name].value, default=None)
        value = chosen.labels[best.axis] if chosen else MISSING
        if len(known) < len(members) and chosen:
            value += f" (of {len(known)} of {len(members)})"
        published = study.published.get(labels, (MISSING,))[0]
        body.append([*labels, value, published, _cell(chosen, metric) if chosen else MISSING])
    return head, body


def _cell(line: Line, metric: Metric) -> str:
    """The number, and of how many seeds it is if the number of others was not finite."""
    number = line.numbers[metric.name]
    part = number is not None and number.count < line.seeds
    return show(number, metric) + (f" (of {number.count} of {line.seeds})" if part else "")


def show(number: Number | None, metric: Metric) -> str:
    """A number as the table prints it."""
    if number is None:
        return MISSING
    text = f"{number.value:.{metric.digits}f}"
    # An error of 0 is that of what no seed changes, such as a number of steps.
    return f"{text} ± {number.error:.{metric.digits}f}" if number.error else text


def as_csv(study: Study, found: Sequence[Line]) -> str:
    """The table of all points as CSV, in full precision; empty where nothing is known."""
    head = list(study.axes)
    for metric in study.metrics:
        head += [metric.name, f"{metric.name} standard error"]
        head += [] if study.best else [f"{metric.published or metric.name} published"]
    head += [f"best {study.best.axis} published"] if study.best else []
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([*head, "seeds"])
    for line in found:
        row: list[Any] = list(line.labels.values())
        for metric, text in zip(study.metrics, _published(study, line), strict=True):
            number = line.numbers[metric.name]
            row += [number.value, number.error] if number else [None, None]
            row += [] if study.best else [text.replace(MISSING, "")]
        if study.best:
            labels = tuple(v for axis, v in line.labels.items() if axis != study.best.axis)
            row += study.published.get(labels, ("",))
        writer.writerow([*row, line.seeds])
    return file.getvalue()


def _published(study: Study, line: Line) -> Labels:
    nothing = (MISSING,) * len(study.metrics)
    return nothing if study.best else study.published.get(tuple(line.labels.values()), nothing)


def _grid(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """A Markdown table with aligned columns."""
    escaped = [[cell.replace("|", "\\|") for cell in row] for row in [head, *body]]
    widths = [max(map(len, column)) for column in zip(*escaped, strict=True)]
    rule = ["-" * width for width in widths]
    rows = [escaped[0], rule, *escaped[1:]]
    pad = (" | ".join(c.ljust(w) for c, w in zip(r, widths, strict=True)) for r in rows)
    return "\n".join(f"| {row} |" for row in pad)
