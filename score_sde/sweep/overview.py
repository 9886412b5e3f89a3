"""The report of a sweep, which compares its runs: results/report.html."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from score_sde import spaces
from score_sde.data import DataError, Info
from score_sde.report import chart, facts, page, read
from score_sde.report.chart import Axis, Point
from score_sde.report.document import STEP, plot
from score_sde.sweep import results, table
from score_sde.sweep.plan import Plan
from score_sde.sweep.plot import curves
from score_sde.sweep.rows import Row
from score_sde.sweep.table import Line

# Columns of metrics.csv that say how one training compares with another.
_COMPARED = (
    ("loss", "Training loss", Axis(log=True)),
    ("eval_loss", "Held-out loss", Axis(log=True)),
    ("examples_per_second", "Throughput, examples/s", Axis(zero=True)),
)

_SHOWN = 8  # rows and columns of the samples of a row: enough to compare, and each is legible


def write(plan: Plan) -> Path:
    """Write the report of a study: its table, its curves, the trainings', and samples of each row.

    Trainings and samples are of the runs whose folders are on this machine.

    Returns:
        The path of the report.

    Raises:
        UserError: a file of a run cannot be read.
    """
    path = plan.results / "report.html"
    results.write(path, render(plan))
    return path


def render(plan: Plan) -> str:
    """The report as HTML."""
    study, found = plan.study, table.lines(plan)
    done = sum(job.done() for job in plan.evaluations.values())
    trained = list(_trained(plan))
    parts = [
        page.paragraph(f"{done} of {len(plan.rows)} rows are done."),
        page.paragraph(study.note) if study.note else "",
    ]
    if study.best:
        best = page.table(*table.best_cells(study, found), "the best values")
        parts.append(page.section(f"Best {study.best.axis}", best))
    compared = page.table(*table.cells(study, found), "measured and published numbers")
    parts += [
        page.section(
            "Measured and published" if study.published else "Measured",
            compared,
            page.paragraph(" ".join(table.notes(found))),
        ),
        page.section("Curves", page.side_by_side("charts", list(_curves(plan, found)))),
        page.section("Training", *_training(plan)),
        page.section("Samples", page.side_by_side("pictures", list(_samples(plan)))),
        page.section("Samples during training", page.side_by_side("pictures", trained)),
    ]
    return page.page(study.title, parts)


def _curves(plan: Plan, found: list[Line]) -> Iterator[str]:
    for each in plan.study.plots:
        points = {n: [Point(*p) for p in line] for n, line in curves(each, found).items()}
        x, y = Axis(each.x, log=each.log_x), Axis(each.y, log=each.log_y)
        yield plot(points, each.y, f"by {each.x}. {plan.study.about}", x, y)


def _training(plan: Plan) -> Iterator[str]:
    """Charts that share a legend: a training has one colour in all of them."""
    runs = {}
    for id, name in _names(plan).items():
        metrics, damage = read.metrics(plan.trainings[id].folder)
        if damage:
            yield page.paragraph(f"Not all of metrics.csv of {name} is shown: it {damage}.")
        if metrics:
            runs[name] = metrics
    if not runs:
        return
    yield chart.legend(list(runs))
    charts = []
    for column, caption, y in _COMPARED:
        points = {name: metrics.get(column, []) for name, metrics in runs.items()}
        if svg := chart.line_chart(points, f"{caption} by step", STEP, y):
            charts.append(page.figure(svg, caption))
    yield page.side_by_side("charts", charts)


def _names(plan: Plan) -> dict[str, str]:
    """What tells each training from the others: the labels that all of its rows share."""
    varied, served = _varied(plan), {}
    for row in plan.rows:
        served.setdefault(row.trained, []).append(row)
    names = {}
    for id, rows in served.items():
        same = [axis for axis in varied if len({row.point.labels[axis] for row in rows}) == 1]
        words = [rows[0].point.labels[axis] for axis in same]
        if "seed" in plan.study.seed_fields and len(plan.study.seeds) > 1:
            words.append(f"seed {rows[0].seed}")
        names[id] = " | ".join(words) or "the network"
    # Two trainings may differ in what no label says.
    several = {name for name, count in Counter(names.values()).items() if count > 1}
    return {id: f"{name} ({id})" if name in several else name for id, name in names.items()}


def _varied(plan: Plan) -> list[str]:
    """The axes along which anything differs."""
    points = plan.study.points
    return [axis for axis in plan.study.axes if len({p.labels[axis] for p in points}) > 1]


def _samples(plan: Plan) -> Iterator[str]:
    """Some of each point, with its first seed."""
    varied = _varied(plan)
    for row in plan.rows:
        folder = plan.evaluations[row.id].folder
        path = folder / "samples.png"
        if row.seed == plan.study.seeds[0] and path.exists():
            name = " | ".join(row.point.labels[axis] for axis in varied) or row.name
            corner, about = _corner(row, folder), facts.about(path)
            if corner and isinstance(about.get("shown"), int):
                about = {**about, "shown": min(about["shown"], _SHOWN**2)}
            shown = page.image(path, f"samples of {name}", corner)
            yield page.figure(shown, name, facts.of_picture(about))


def _corner(row: Row, folder: Path) -> tuple[int, int] | None:
    """Pixels of the part of a row's picture that is shown; None for all of it."""
    section = row.config.space
    try:
        info = Info.from_json(read.record(folder).found.get("data", {}))
        field = info.of_kinds(spaces.kinds(section), row.config.data.field)
    except DataError:  # the picture can be shown all the same
        return None
    return spaces.read(section, field).corner(_SHOWN)


def _trained(plan: Plan) -> Iterator[str]:
    """The last picture of each training."""
    for id, name in _names(plan).items():
        for step, path in read.pictures(plan.trainings[id].folder, 2)[-1:]:
            text = f"samples of {name} at step {step}"
            said = facts.of_picture(facts.about(path))
            yield page.figure(page.image(path, text), name, said or f"step {step:,}")
