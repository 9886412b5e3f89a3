"""The report of one run, report.html in its folder."""

from __future__ import annotations

import math
import os
import statistics
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from score_sde.errors import UserError
from score_sde.files import replacing
from score_sde.report import chart, facts, page, read
from score_sde.report.chart import Axis, Point
from score_sde.report.facts import text
from score_sde.report.page import Tile
from score_sde.report.read import Record, Values

STEP = Axis("step", zero=True)
_PICTURES = 8  # at most so many of those drawn during training
_LONG = 12  # elements of a list that are written out

# What --mode=sample leaves, by the question that it answers.
_DRAWN = {
    "samples": "Samples",
    "class": "Samples of classes",
    "inpaint": "Missing parts: what is known, the sample, the truth",
    "colorize": "Colours: what is known, the sample, the truth",
    "superres": "Higher resolution: what is known, the sample, the truth",
}


def write(workdir: str | os.PathLike[str]) -> Path:
    """Write report.html of a run, finished or not.

    Args:
        workdir: its folder.

    Returns:
        The path of the report.

    Raises:
        UserError: there is no run in the folder, a file of it cannot be read, or the report cannot
            be written.
    """
    workdir = Path(workdir)
    record = read.record(workdir)
    try:
        html = render(record)
    except (AttributeError, LookupError, TypeError, ValueError, ArithmeticError) as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise UserError(
            f"config.json or evaluation.json in {workdir} is damaged: {reason}"
        ) from error
    path = workdir / "report.html"
    try:  # training and sampling may write it at the same time
        with replacing(path) as file:
            file.write(html.encode())
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from error
    return path


def refresh(workdir: str | os.PathLike[str]) -> None:
    """Write report.html of a run on the side: whatever goes wrong is a warning, one line.

    Args:
        workdir: its folder.
    """
    try:
        write(workdir)
    except Exception as error:  # no training is worth less than its report
        said = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
        print(f"warning: no report: {' '.join(said.split())}", file=sys.stderr, flush=True)


def render(record: Record) -> str:
    """The report as HTML."""
    return page.page(
        f"Run {record.workdir.resolve().name}",
        [
            page.paragraph(_what(record)),
            page.tiles(_tiles(record)),
            page.section("Evaluation", _evaluation(record)),
            page.section("Training", _training(record)),
            page.section("Samples", *_samples(record)),
            page.section("Configuration", *_configuration(record)),
        ],
    )


def _what(record: Record) -> str:
    """What was trained on what."""
    data, training = record.found.get("data", {}), record.config["training"]
    fields = ", ".join(map(_field, data.get("fields", ())))
    return (
        f"{record.config['sde'].get('name')} on {data.get('name')} "
        f"({text(data.get('size'))} examples of {fields}), "
        f"batch {text(training.get('batch_size'))}"
    )


def _field(field: Values) -> str:
    """A field of the data in words: image 8x8x1, label."""
    return f"{field.get('name')} {'x'.join(map(str, field.get('shape', ())))}".strip()


def _tiles(record: Record) -> Iterator[Tile]:
    steps = record.config["training"].get("steps", 0)
    share = "finished" if record.step >= steps else f"{record.step / steps:.0%}, unfinished"
    yield Tile("step", text(record.step), f"of {text(steps)}: {share}")
    loss, held_out = (record.metrics.get(name, ()) for name in ("loss", "eval_loss"))
    if loss:
        last = f"{loss[-1].y:.4g}"
        if held_out:
            yield Tile("held-out loss", f"{held_out[-1].y:.4g}", f"training loss {last}")
        else:
            yield Tile("training loss", last)
    if rates := [p for p in record.metrics.get("examples_per_second", ()) if 0 < p.y < math.inf]:
        batch, starts = record.config["training"].get("batch_size", 0), [0, *(p.x for p in rates)]
        seconds = sum((p.x - x) * batch / p.y for p, x in zip(rates, starts, strict=False))
        rate = statistics.median(p.y for p in rates)
        note = f"median; {duration(seconds)} of training steps"
        yield Tile("examples/s", text(round(rate)), note)
    yield from _mishaps(record)
    yield Tile("parameters", text(record.found.get("parameters")))


def _mishaps(record: Record) -> Iterator[Tile]:
    """What metrics.csv counts of steps that training could not go on from, if there were any."""
    for column, label, unit in (
        ("skipped", "steps left out", ""),
        ("rewinds", "went back", "times"),
    ):
        counts = record.metrics.get(column, ())
        if counts and (most := counts[-1].y):
            last = next(point.x for point in counts if point.y == most)
            number = f"{text(round(most))} {unit}".strip()
            yield Tile(label, number, f"the last before step {text(round(last))}")


def _evaluation(record: Record) -> str:
    """The numbers, and for each all that determined it."""
    if not record.evaluation:
        return page.paragraph("Not evaluated yet.")
    cards = [_metric(record, name, entry) for name, entry in record.evaluation.items()]
    return page.side_by_side("cards", cards)


def _metric(record: Record, name: str, entry: Any) -> str:
    entry = entry if isinstance(entry, Mapping) else {"value": entry}
    parts = []
    if isinstance(entry.get("value"), int | float):
        unit = str(entry.get("unit", ""))
        parts.append(page.number(measured(entry["value"], entry.get("standard_error")), unit))
    if said := facts.of_number(entry):
        parts.append(page.paragraph(said))
    points = _curve(name, entry)
    y = Axis(log=True) if "loss" in entry.get("curve", {}) else Axis(zero=True)
    parts.append(chart.line_chart({name: points}, f"{name} by t", Axis("t"), y))
    if isinstance(entry.get("picture"), str):
        file = record.workdir / "evaluation" / Path(entry["picture"]).name
        parts.append(page.image(file, name.replace("_", " ")))
    protocol = entry.get("protocol", {})
    values = {key: value for key, value in entry.items() if key != "protocol"}
    parts.append(page.details("All values", page.fields(flat(values))))
    if protocol:
        parts.append(page.details("Protocol", page.fields(flat({"": protocol}))))
    return page.card(name.replace("_", " "), *parts)


def _curve(name: str, entry: Values) -> list[Point]:
    """What an entry has by time, a loss or the metric itself, with its standard errors."""
    columns = entry.get("curve", {})
    what = "loss" if "loss" in columns else name
    if not {"t", what, "standard_error"} <= columns.keys():
        return []
    rows = zip(columns["t"], columns[what], columns["standard_error"], strict=True)
    return [Point(t, value, error or 0.0) for t, value, error in rows]


def _training(record: Record) -> str:
    damage = f"Not all of metrics.csv is shown: it {record.damage}." if record.damage else ""
    if not record.metrics:
        return page.paragraph(damage or "No step has been logged yet.")

    def curves(**labels: str) -> chart.Curves:
        return {
            label: record.metrics[column]
            for column, label in labels.items()
            if column in record.metrics
        }

    charts = [
        plot(curves(loss="training", eval_loss="held-out"), "Loss", "", STEP, Axis(log=True)),
        plot(
            curves(examples_per_second=""),
            "Throughput",
            "examples/s, training steps only",
            STEP,
            Axis(zero=True),
        ),
        plot(curves(grad_norm=""), "Norm of the gradient", "", STEP, Axis(log=True)),
        plot(curves(learning_rate=""), "Learning rate", "", STEP, Axis(zero=True)),
    ]
    note = page.paragraph(damage) if damage else ""
    return note + page.side_by_side("charts", charts)


def plot(curves: chart.Curves, caption: str, note: str, x: Axis, y: Axis) -> str:
    """A chart with its caption and, if there are several curves, its legend; "" without a point."""
    shown = {name: points for name, points in curves.items() if points}
    svg = chart.line_chart(shown, f"{caption} by {x.name}", x, y)
    legend = chart.legend(list(shown)) if len(shown) > 1 else ""
    return page.figure(svg, caption, note, legend) if svg else ""


def _samples(record: Record) -> Iterator[str]:
    real = record.workdir / "real.png"
    if real.exists():
        yield page.side_by_side("charts", [_picture(real, "Real examples")])
    during = [
        _picture(path, f"Step {text(step)}", f"samples at step {step}")
        for step, path in read.pictures(record.workdir, _PICTURES)
    ]
    if during:
        yield page.paragraph("Drawn during training, always from the same noise.")
        yield page.side_by_side("pictures", during)
    drawn = [
        _picture(path, caption)
        for name, caption in _DRAWN.items()
        if (path := record.workdir / f"{name}.png").exists()
    ]
    if drawn:
        yield page.paragraph("Drawn last with --mode=sample.")
        yield page.side_by_side("charts", drawn)


def _picture(path: Path, caption: str, shows: str = "") -> str:
    """A picture with what it says of itself, or its name."""
    note = facts.of_picture(facts.about(path)) or path.name
    return page.figure(page.image(path, shows or caption), caption, note)


def _configuration(record: Record) -> Iterator[str]:
    sections = {name: v for name, v in record.config.items() if isinstance(v, Mapping)}
    others = {name: v for name, v in record.config.items() if name not in sections}
    sections["others"] = others
    cards = [page.card(name, page.fields(flat(v))) for name, v in sections.items() if v]
    yield page.details(
        "All fields; — is the default of what was chosen", page.side_by_side("columns", cards)
    )
    found = [(name, value) for name, value in record.found.items() if name != "versions"]
    cards = [
        page.card("Software", page.fields(flat(record.found.get("versions", {})))),
        page.card("Data and network", page.fields(flat(dict(found)))),
    ]
    yield page.details("Software, data and network", page.side_by_side("columns", cards))


def flat(values: Values, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Pairs of a dotted path and its value as text; a long list is cut short."""
    for name, value in values.items():
        path = f"{prefix}.{name}".strip(".")
        if isinstance(value, Mapping):
            yield from flat(value, path)
        else:
            yield path, _long(value) if isinstance(value, list) else text(value)


def _long(values: list[Any]) -> str:
    shown = ", ".join(map(text, values[:_LONG]))
    return shown if len(values) <= _LONG else f"{shown}, … ({len(values):,} in all)"


def measured(value: float, error: float | None) -> str:
    """A number with its standard error, to two digits of that: 2.238 ± 0.011."""
    if error is None or not (0 < error < math.inf and math.isfinite(value)):
        return f"{value:.5g}"
    digits = max(0, 1 - math.floor(math.log10(error)))
    return f"{value:.{digits}f} ± {error:.{digits}f}"


def duration(seconds: float) -> str:
    """A time in the two largest units: 1 d 4 h, 12 min 5 s, 42 s."""
    left, parts = round(seconds), []
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        if left >= size or (unit == "s" and not parts):
            parts.append(f"{left // size} {unit}")
        left %= size
    return " ".join(parts[:2])
