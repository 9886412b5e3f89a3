"""Pictures of a study's curves."""

from __future__ import annotations

import io
import json
import textwrap
from pathlib import Path
from typing import Any

from score_sde import images
from score_sde.errors import UserError
from score_sde.sweep import results
from score_sde.sweep.plan import Plan
from score_sde.sweep.study import Plot, Study
from score_sde.sweep.table import Line, lines

_WIDTH = 140  # characters of small print across a picture


def write(plan: Plan) -> list[Path]:
    """Draw every plot of a study into its folder of results.

    Returns:
        The paths of the pictures.

    Raises:
        UserError: nothing has been measured yet, or a picture cannot be written.
    """
    import matplotlib  # it is slow to import

    matplotlib.use("agg")
    found = lines(plan)
    return [
        _draw(plan.study, plot, found, plan.results / f"{plot.name}.png")
        for plot in plan.study.plots
    ]


def curves(plot: Plot, found: list[Line]) -> dict[str, list[tuple[float, float, float]]]:
    """The curves of a plot: x, y and the standard error of y (0 if unknown), in the order of x."""
    groups: dict[str, list[tuple[float, float, float]]] = {}
    for line in found:
        x, y = line.numbers[plot.x], line.numbers[plot.y]
        wanted = not plot.only or any(
            all(line.labels[axis] in labels for axis, labels in allowed.items())
            for allowed in plot.only
        )
        if wanted and x is not None and y is not None:
            name = " | ".join(v for axis, v in line.labels.items() if axis != plot.along)
            groups.setdefault(name, []).append((x.value, y.value, y.error or 0.0))
    return {name: sorted(points) for name, points in groups.items()}


def _draw(study: Study, plot: Plot, found: list[Line], path: Path) -> Path:
    from matplotlib import pyplot

    groups = curves(plot, found)
    if not groups:
        raise UserError(f"nothing to plot yet: no row has both {plot.x} and {plot.y}")
    figure, axes = pyplot.subplots(figsize=(8, 5), layout="constrained")
    figure.suptitle(textwrap.fill(study.title, _WIDTH - 40), x=0.01, ha="left", fontsize=10)
    small = textwrap.fill(study.about, _WIDTH)
    figure.supxlabel(small, x=0.01, ha="left", fontsize=7, color="0.3")
    for (name, points), marker in zip(groups.items(), "os^vDP*X<>" * len(groups), strict=False):
        x, y, error = zip(*points, strict=True)
        axes.errorbar(x, y, error, label=name, marker=marker, markersize=5, capsize=2)
    for name, level in plot.levels.items():
        axes.axhline(level, label=name, color="0.4", linestyle="--", linewidth=1, zorder=0)
    axes.set(xlabel=plot.x, ylabel=plot.y)
    for axis, log in ((axes.xaxis, plot.log_x), (axes.yaxis, plot.log_y)):
        if log:
            _logarithmic(axis)
    axes.grid(alpha=0.3)
    if len(groups) == 1 and not plot.levels:
        axes.set_title(next(iter(groups)))
    else:
        told_apart = " | ".join(axis for axis in found[0].labels if axis != plot.along)
        figure.legend(title=told_apart, loc="outside right center", frameon=False)
    buffer = io.BytesIO()
    about = {
        "Software": None,
        images.KEYWORD: json.dumps({"study": study.title, "of": study.about}),
    }
    figure.savefig(buffer, format="png", dpi=120, metadata=about)
    pyplot.close(figure)
    results.write_bytes(path, buffer.getvalue())
    return path


def _logarithmic(axis: Any) -> None:
    """Make an axis logarithmic, with plain numbers at 1, 2, 3 and 5 times the powers of ten."""
    from matplotlib import ticker

    axis.axes.set(**{f"{axis.axis_name}scale": "log"})
    axis.set_major_locator(ticker.LogLocator(subs=(1, 2, 3, 5)))
    axis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(ticker.NullFormatter())
