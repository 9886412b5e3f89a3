"""The report of one run."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from score_sde.errors import UserError
from score_sde.report import chart, page

_PICTURES = 8  # at most so many steps of the samples over training


def write(workdir: str | os.PathLike[str]) -> Path:
    """Write report.html of a run, finished or not.

    Args:
        workdir: its folder.

    Returns:
        The path of the report.

    Raises:
        UserError: there is no run in the folder, or a file of it cannot be read.
    """
    workdir = Path(workdir)
    config = read_json(workdir / "config.json")
    if config is None:
        raise UserError(f"no run in {workdir}: it has no config.json; train one first")
    metrics = read_metrics(workdir)
    parts = [
        page.table((), _summary(config, metrics)),
        page.section("Evaluation", _evaluation(read_json(workdir / "evaluation.json"))),
        page.section("Training", training_charts({"": metrics})),
        page.section("Samples", page.figures("samples", list(_samples(workdir)))),
        page.section("Configuration", *_configuration(config)),
    ]
    path = workdir / "report.html"
    partial = workdir / "report.html.partial"
    partial.write_text(page.page(f"Run {workdir.resolve().name}", parts), encoding="utf-8")
    partial.replace(path)
    return path


def read_json(path: Path) -> dict[str, Any] | None:
    """A JSON file, or None if there is none.

    Raises:
        UserError: it cannot be read.
    """
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise UserError(f"{path} is not JSON: {error}") from error


def read_metrics(workdir: Path) -> dict[str, chart.Points]:
    """The curves of a run's metrics.csv by column: points (step, value)."""
    curves: dict[str, list[tuple[float, float]]] = {}
    try:
        with (workdir / "metrics.csv").open(newline="") as file:
            for row in csv.DictReader(file):
                step = float(row.pop("step"))
                for name, text in row.items():
                    if text:  # what was not measured at this step is empty
                        curves.setdefault(name, []).append((step, float(text)))
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{workdir / 'metrics.csv'} is not a run's metrics: {error}") from error
    return curves


def training_charts(runs: Mapping[str, Mapping[str, chart.Points]]) -> str:
    """Charts of loss and throughput.

    Args:
        runs: the curves of each run, by its name; that of a single run may be "".
    """
    charts = []
    for columns, caption, log_y in (
        ({"loss": "loss", "eval_loss": "held-out loss"}, "loss, by step", True),
        ({"images_per_second": "images/s"}, "training throughput, images/s, by step", False),
        ({"grad_norm": "gradient norm"}, "norm of the gradient, by step", True),
        ({"learning_rate": "learning rate"}, "learning rate, by step", False),
    ):
        series = {
            " ".join(filter(None, (run, label if len(columns) > 1 or not run else ""))): points
            for run, curves in runs.items()
            for column, label in columns.items()
            if (points := curves.get(column))
        }
        if svg := chart.line_chart(series, caption, log_y):
            names = chart.legend(list(series)) if len(series) > 1 else ""
            charts.append(page.figure(svg, caption, names))
    return page.figures("charts", charts)


def flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Pairs of a dotted path and its value as text."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{name}.")
        else:
            text = f"{value:.6g}" if isinstance(value, float) else value
            yield f"{prefix}{name}", text if isinstance(text, str) else json.dumps(text)


def pictures(workdir: Path) -> list[tuple[int, Path]]:
    """Pairs of a step and the picture drawn there, spread over training, the last one included."""
    found = sorted(
        (int(path.stem), path)
        for path in (workdir / "samples").glob("*.png")
        if path.stem.isdigit()
    )
    if len(found) <= _PICTURES:
        return found
    return [found[(len(found) - 1) * i // (_PICTURES - 1)] for i in range(_PICTURES)]


def _summary(
    config: Mapping[str, Any], metrics: Mapping[str, chart.Points]
) -> Iterator[tuple[str, str]]:
    """What a reader wants to know first."""
    found = config.get("run", {})
    data, training = found.get("data", {}), config.get("training", {})
    step = max((points[-1][0] for points in metrics.values()), default=0)
    yield "process", str(config.get("sde", {}).get("name", ""))
    yield "data", f"{data.get('name', '')} {'x'.join(map(str, data.get('shape', ())))}".strip()
    yield "parameters", f"{found.get('parameters', 0):,}"
    yield "steps", f"{step:,.0f} of {training.get('steps', 0):,}, batch {training['batch_size']:,}"
    for column, name in (("loss", "last loss"), ("eval_loss", "last held-out loss")):
        if metrics.get(column):
            yield name, f"{metrics[column][-1][1]:.4g}"
    if rates := metrics.get("images_per_second"):
        middle = sorted(rate for _, rate in rates)[len(rates) // 2]
        yield "throughput", f"{middle:,.0f} images/s (median)"
    versions = found.get("versions", {}).items()
    yield "versions", ", ".join(f"{name} {version}" for name, version in versions)


def _evaluation(evaluation: Mapping[str, Any] | None) -> str:
    """The numbers, and for each all that determined it."""
    if not evaluation:
        return ""
    body, protocols, rest = [], [], {}
    for name, entry in evaluation.items():
        if isinstance(entry, Mapping) and "value" in entry:
            error = entry.get("standard_error")
            text = f"{entry['value']:.6g}" if entry["value"] is not None else "—"
            body.append((name, text, "" if error is None else f"{error:.2g}"))
            others = {k: v for k, v in entry.items() if k not in ("value", "standard_error")}
            if others:
                protocols.append(page.details(f"Protocol of {name}", page.table((), flat(others))))
        else:
            rest[name] = entry
    if rest:
        protocols.append(page.details("Everything else", page.table((), flat(rest))))
    numbers = page.table(("", "value", "standard error"), body) if body else ""
    return "\n".join(filter(None, [numbers, *protocols]))


def _samples(workdir: Path) -> Iterator[str]:
    for step, path in pictures(workdir):
        text = f"samples at step {step:,}"
        yield page.figure(page.image(path, text), text)
    if (path := workdir / "samples.png").exists():
        yield page.figure(page.image(path, "samples"), "drawn with --mode=sample")


def _configuration(config: Mapping[str, Any]) -> Iterator[str]:
    for name, value in config.items():
        if name == "run":
            continue
        section = value if isinstance(value, Mapping) else {name: value}
        known = {k: v for k, v in section.items() if v is not None}
        yield page.details(name, page.table((), flat(known)))
