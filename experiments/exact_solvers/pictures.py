"""Error against evaluations: a panel for each process; curves of solvers, and of grids."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from experiments.exact_solvers.measure import Curve

SOLVERS = (
    "ddim",
    "heun",
    "midpoint",
    "dpmpp_2s",
    "dpmpp_2m",
    "dpmpp_3m",
    "deis 3",
    "ipndm 4",
    "unipc 2",
    "unipc 3",
)
GRID = "log_snr"
SOLVER = "dpmpp_2m"
NAMES = {"bumps": "Two bumps", "digits": "1,297 digits"}
YLABELS = {"bumps": "largest error", "digits": "median rms error"}
HIGHEST = 2.0  # an error of 1 is no sample any more
_COLUMNS = 4


def draw(folder: Path, curves: Sequence[Curve]) -> list[Path]:
    """Draw all pictures of what was measured into a folder."""
    found = []
    for data in dict.fromkeys(curve.data for curve in curves):
        own = [curve for curve in curves if curve.data == data]
        solvers = {
            name: [c for c in own if c.solver == name and c.grid == GRID] for name in SOLVERS
        }
        title = f"{NAMES[data]}: solvers on the {GRID} grid"
        found.append(_draw(folder / f"{data}_solvers.png", solvers, title))
        names = dict.fromkeys(curve.grid for curve in own)
        grids = {name: [c for c in own if c.grid == name and c.solver == SOLVER] for name in names}
        title = f"{NAMES[data]}: grids of {SOLVER}"
        found.append(_draw(folder / f"{data}_grids.png", grids, title))
    return found


def _draw(path: Path, groups: Mapping[str, Sequence[Curve]], title: str) -> Path:
    import matplotlib  # it is slow to import

    matplotlib.use("agg")
    from matplotlib import pyplot

    every = [curve for group in groups.values() for curve in group]
    processes = list(dict.fromkeys(curve.process for curve in every))
    rows = math.ceil((len(processes) + 1) / _COLUMNS)  # one for the legend
    figure, axes = pyplot.subplots(
        rows, _COLUMNS, figsize=(13, 3.4 * rows), layout="constrained", sharex=True, sharey=True
    )
    panels = dict(zip(processes, axes.flat, strict=False))
    for name, marker in zip(groups, "os^vDP*X<>" * len(groups), strict=False):
        for curve in groups[name]:
            points = [(n, e) for n, e in curve.errors.items() if math.isfinite(e)]
            panels[curve.process].plot(
                *zip(*points, strict=True), label=name, marker=marker, markersize=4, linewidth=1.2
            )
    for process, panel in panels.items():
        _dress(panel, process)
    for unused in axes.flat[len(panels) :]:
        unused.axis("off")
    shown = {line.get_label(): line for panel in panels.values() for line in panel.lines}
    axes.flat[-1].legend(shown.values(), shown, loc="center", frameon=False, ncols=2, title=title)
    axes.flat[0].set_ylim(top=HIGHEST)  # of all: they share it
    figure.supxlabel("evaluations", fontsize=10)
    figure.supylabel(YLABELS[every[0].data], fontsize=10)
    figure.savefig(path, dpi=110, metadata={"Software": None})
    pyplot.close(figure)
    return path


def _dress(panel, process: str) -> None:
    from matplotlib import ticker

    panel.set(xscale="log", yscale="log", title=process)
    panel.xaxis.set_major_locator(ticker.FixedLocator([4, 10, 20, 40, 80, 160]))
    panel.xaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
    panel.xaxis.set_minor_locator(ticker.NullLocator())
    panel.tick_params(labelbottom=True)
    panel.grid(alpha=0.3)
