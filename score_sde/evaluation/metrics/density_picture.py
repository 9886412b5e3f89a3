"""A density of the plane on a grid, and its picture."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from score_sde.evaluation import figures

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MARGIN = 0.1  # of the range of the examples, which the grid reaches beyond on each side
_ARROWS = 20  # along a side, at most
_NATS = 8.0  # below the largest log p, where the colours end
_SIDE = 3.4  # of the axes, inches
_DATA, _MODEL = "#9aa0a6", "#dc2626"
_DIFFERENCE = {"cmap": "RdBu", "vmin": -2, "vmax": 2}


class Grid(NamedTuple):
    """Equal cells that cover a rectangle.

    Attributes:
        low: its lower left corner, [2].
        high: its upper right corner, [2].
        points: cells along each side, n.
    """

    low: np.ndarray
    high: np.ndarray
    points: int

    @classmethod
    def over(cls, examples: np.ndarray, points: int) -> Grid:
        """Over all of the examples, [m, 2], and a margin."""
        low, high = examples.min(0).astype(np.float64), examples.max(0).astype(np.float64)
        margin = np.where(high > low, _MARGIN * (high - low), 1.0)
        return cls(low - margin, high + margin, points)

    @property
    def middles(self) -> np.ndarray:
        """Of the cells, float64 [n^2, 2], row by row from below."""
        steps = (np.arange(self.points) + 0.5) / self.points
        x, y = (a + (b - a) * steps for a, b in zip(self.low, self.high, strict=True))
        return np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)

    @property
    def area(self) -> float:
        """Of a cell."""
        return float(np.prod((self.high - self.low) / self.points))

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Left, right, bottom and top."""
        (left, bottom), (right, top) = self.low.tolist(), self.high.tolist()
        return left, right, bottom, top


class Map(NamedTuple):
    """What is known at the middles of a grid, [n^2].

    Attributes:
        logp: log p of the model, nats, [n^2].
        exact: log q of the data, nats, [n^2], or None.
        denoised: where the model would have the data, [n^2, noise levels, 2].
    """

    logp: np.ndarray
    exact: np.ndarray | None
    denoised: np.ndarray


def save(
    path: Path,
    grid: Grid,
    found: Map,
    noise: Sequence[float],
    examples: np.ndarray,
    samples: np.ndarray,
    paths: np.ndarray,
    about: Mapping[str, Any],
) -> None:
    """Write a PNG of the densities on one scale, samples over examples, the score, and paths.

    Args:
        path: where; its folder is made.
        grid: that the panels show.
        found: on it.
        noise: the levels sigma / alpha of `found.denoised`.
        examples: [m, 2].
        samples: of the model, [k, 2].
        paths: from noise to data, [k, points, 2].
        about: what the picture is of, JSON values, which the file says of itself.
    """
    known = found.exact is not None
    panels = (3 if known else 1) + 1 + len(noise) + bool(len(paths))
    columns = min(max(math.ceil(panels / 2), 2), 4)
    rows = math.ceil(panels / columns)
    width, height = grid.high - grid.low
    tall = _SIDE * float(np.clip(height / width, 0.5, 2))
    drawn = figures.figure(columns * (_SIDE + 1.3), rows * (tall + 0.7))
    drawn.get_layout_engine().set(w_pad=0.08, h_pad=0.08)
    axes = iter(drawn.subplots(rows, columns, squeeze=False).ravel())

    for title, values, extend, colours in _densities(found):
        panel, square = next(axes), values.reshape(grid.points, grid.points)
        image = panel.imshow(square, origin="lower", extent=grid.extent, **colours)
        drawn.colorbar(image, ax=panel, label="nats", extend=extend, shrink=0.8)
        panel.set_facecolor("0.8")  # where there is no value
        _frame(panel, grid, title)
    panel, title = next(axes), f"{len(examples):,} examples (grey)"
    _scatter(panel, examples, _DATA)
    if len(samples):
        _scatter(panel, samples, _MODEL)
        title = f"{len(samples):,} samples (red) over {title}"
    _frame(panel, grid, title)
    for level, ends in zip(noise, np.moveaxis(found.denoised, 1, 0), strict=True):
        panel = next(axes)
        _scatter(panel, examples, _DATA)
        _arrows(panel, grid, ends)
        _frame(panel, grid, f"score at σ/α = {level:g}")
    if len(paths):
        panel = next(axes)
        _scatter(panel, examples, _DATA)
        _lines(panel, paths)
        _frame(panel, Grid.over(paths.reshape(-1, 2), 1), "from noise (blue) to data (red)")
    for panel in axes:
        panel.set_axis_off()
    figures.save(path, drawn, about)


def _densities(found: Map) -> Iterator[tuple[str, np.ndarray, str, dict[str, Any]]]:
    """Panels of log p and, if it is known, log q: titles, values, ends of the bar, colours."""
    exact = found.logp if found.exact is None else found.exact
    top = float(max(found.logp.max(), exact.max()))
    scale = {"cmap": "viridis", "vmin": top - _NATS, "vmax": top}
    yield "log p of the model", found.logp, "min", scale
    if found.exact is not None:
        yield "log q of the data, exact", exact, "min", scale
        seen = np.maximum(found.logp, exact) > top - _NATS
        less = np.where(seen, found.logp - exact, np.nan)
        yield "log p − log q (grey: both small)", less, "both", _DIFFERENCE


def _frame(panel: Axes, grid: Grid, title: str) -> None:
    width, height = grid.high - grid.low
    left, right, bottom, top = grid.extent
    # Of coordinates of very different ranges, equal units would leave a line.
    aspect: Any = "equal" if 0.25 <= height / width <= 4 else "auto"
    panel.set(xlim=(left, right), ylim=(bottom, top), aspect=aspect, anchor="W", title=title)
    panel.title.set_fontsize("medium")


def _scatter(panel: Axes, points: np.ndarray, colour: str) -> None:
    size = float(np.clip(4000 / max(len(points), 1), 1, 12))
    panel.scatter(points[:, 0], points[:, 1], s=size, c=colour, linewidths=0, alpha=0.7)


def _lines(panel: Axes, paths: np.ndarray) -> None:
    """Paths, with a dot at each end."""
    panel.plot(*np.moveaxis(paths, (2, 1), (0, 1)), color="#1d4ed8", linewidth=0.5, alpha=0.6)
    for ends, colour in ((paths[:, 0], "#1d4ed8"), (paths[:, -1], _MODEL)):
        panel.scatter(*ends.T, s=10, c=colour, linewidths=0, zorder=3)


def _arrows(panel: Axes, grid: Grid, ends: np.ndarray) -> None:
    """From every few middles to where the model would have the data, at most a cell of these."""
    step = math.ceil(grid.points / _ARROWS)
    chosen = slice(step // 2, None, step)

    def of(values: np.ndarray) -> np.ndarray:
        return values.reshape(grid.points, grid.points, 2)[chosen, chosen].reshape(-1, 2)

    starts, cell = of(grid.middles), step * (grid.high - grid.low) / grid.points
    shift = of(ends) - starts
    cells = np.linalg.norm(shift / cell, axis=1, keepdims=True)
    shift = shift * np.minimum(1, 0.9 / np.maximum(cells, 1e-9))
    panel.quiver(
        *starts.T, *shift.T, angles="xy", scale_units="xy", scale=1, width=0.004, color="#1d4ed8"
    )
