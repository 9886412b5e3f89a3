"""The report of a sweep, which compares its runs: results/report.html."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from score_sde.report import page
from score_sde.report.run import pictures, read_metrics, training_charts
from score_sde.sweep import results, table
from score_sde.sweep.plan import Plan


def write(plan: Plan) -> Path:
    """Write the report of a study: its table, the trainings' curves, and samples of each row.

    Curves and samples are of the runs whose folders are on this machine.

    Returns:
        The path of the report.
    """
    study, found = plan.study, table.lines(plan)
    parts = [page.paragraph(study.note)] if study.note else []
    if study.best:
        cells = table.best_cells(study, found)
        parts.append(page.section(f"Best {study.best.axis}", page.table(*cells)))
    parts += [
        page.section("Measured and published", page.table(*table.cells(study, found))),
        page.section("Curves", page.figures("samples", list(_plots(plan)))),
        page.section("Training", training_charts(_trainings(plan))),
        page.section("Samples", page.figures("samples", list(_samples(plan)))),
    ]
    path = plan.results / "report.html"
    results.write(path, page.page(study.title, parts))
    return path


def _plots(plan: Plan) -> Iterator[str]:
    for plot in plan.study.plots:
        path = plan.results / f"{plot.name}.png"
        if path.exists():
            caption = f"{plot.y} against {plot.x}"
            yield page.figure(page.image(path, caption), caption)


def _trainings(plan: Plan) -> dict[str, dict]:
    """The curves of each training, by the name of the first row that it serves."""
    return {
        job.name.removeprefix("training of "): curves
        for job in plan.trainings.values()
        if (curves := read_metrics(job.folder))
    }


def _samples(plan: Plan) -> Iterator[str]:
    for row in plan.rows:
        path = plan.evaluations[row.id].folder / "samples.png"
        if not path.exists():
            continue
        yield page.figure(page.image(path, f"samples of {row.name}"), row.name)
    for job in plan.trainings.values():
        for step, path in pictures(job.folder)[-1:]:
            caption = f"{job.name}, step {step:,}"
            yield page.figure(page.image(path, caption), caption)
