"""Charts as SVG, whose colours follow the page's."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import NamedTuple

# About as many units as a phone has pixels for it: there, text is as large as the style says.
_WIDTH, _HEIGHT = 320, 210
_LEFT, _RIGHT, _TOP, _BOTTOM = 50, 18, 8, 36
_COLORS = 8  # page.py names them --c0 to --c7
_DASHES = ("none", "6 3", "2 3")  # from the ninth curve on, and from the seventeenth
_MOST = 300  # points of a curve: more than there are pixels would only make the file larger
_FEW = 12  # points of a curve up to which each is marked


class Point(NamedTuple):
    """A point of a curve.

    Attributes:
        x: across.
        y: up.
        error: standard error of y; 0 if unknown.
    """

    x: float
    y: float
    error: float = 0.0


@dataclasses.dataclass(frozen=True)
class Axis:
    """An axis.

    Attributes:
        name: what it measures; of the y axis the heading of the chart says it.
        log: whether it is logarithmic.
        zero: whether it begins at 0.
    """

    name: str = ""
    log: bool = False
    zero: bool = False


Curves = Mapping[str, Sequence[Point]]


def line_chart(curves: Curves, text: str, x: Axis, y: Axis) -> str:
    """Curves over one x axis; a curve's place among them determines its colour.

    Args:
        curves: points by the curve's name. Those that are not finite are left out and, on a
            logarithmic axis, those that are not positive.
        text: what it shows, for those who cannot see it.
        x: the axis across.
        y: the axis up.

    Returns:
        An <svg> element; "" if there is no point.
    """
    shown = [thin([p for p in points if _valid(p, x, y)]) for points in curves.values()]
    every = [point for points in shown for point in points]
    if not every:
        return ""
    across = _across([p.x for p in every], x)
    up = _up([v for p in every for v in (p.y - p.error, p.y, p.y + p.error)], y)
    label = escape(text)
    return "\n".join(
        [
            f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{label}">',
            *_grid_lines(up),
            *_x_labels(across, x.name),
            *(_curve(points, index, across, up) for index, points in enumerate(shown)),
            "</svg>",
        ]
    )


def legend(names: Sequence[str]) -> str:
    """Which colour is which curve, as HTML."""
    items = (
        f'<span><svg class="key" viewBox="0 0 26 10" aria-hidden="true"><path d="M1 5h24" '
        f"{_stroke(index)}/></svg> {escape(name)}</span>"
        for index, name in enumerate(names)
    )
    return '<div class="legend">' + " ".join(items) + "</div>"


def thin(points: Sequence[Point]) -> Sequence[Point]:
    """At most a few hundred points, each the mean of neighbours; the last stays as it is."""
    if len(points) <= _MOST:
        return points
    size = math.ceil(len(points) / (_MOST - 1))
    parts = [points[start : start + size] for start in range(0, len(points) - 1, size)]
    means = [
        Point(*(math.fsum(values) / len(part) for values in zip(*part, strict=True)))
        for part in parts
    ]
    return [*means, points[-1]]


def ticks(low: float, high: float, most: int) -> list[float]:
    """Round numbers in an interval, at most most + 1: steps of 1, 2 or 5 times a power of 10."""
    if high <= low:
        return [low]
    step = _step(low, high, most)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [index * step for index in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Round numbers between two positive ones, for a logarithmic axis.

    Powers of 10; 1, 2 and 5 times them if those are few; evenly spaced ones if these are, too.
    """
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1,), (1, 2, 5)):
        found = [f * 10.0**p for p in powers for f in factors if low <= f * 10.0**p <= high]
        if len(found) >= 3:
            return found[:: math.ceil(len(found) / 6)]
    return ticks(low, high, 4)


def labels(values: Sequence[float], log: bool = False) -> list[str]:
    """The labels of ticks, as short as they can be.

    Args:
        values: the ticks.
        log: whether they are of a logarithmic axis, so that each is written on its own.

    Returns:
        Such as 0.05 and 0.10; 200k and 1000k; 2e-4.
    """
    if log:
        return [label for value in values for label in labels([value])]
    largest = max(abs(value) for value in values)
    if 0 < largest < 1e-3:
        return [_power(value) for value in values]
    sizes = ((1e6, "M"), (1e3, "k"))
    size, letter = next((pair for pair in sizes if largest >= 10 * pair[0]), (1.0, ""))
    scaled = [value / size for value in values]
    digits = next(d for d in range(9) if d == 8 or all(_is_short(value, d) for value in scaled))
    return [f"{value:.{digits}f}{letter}" if value else "0" for value in scaled]


def _power(value: float) -> str:
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa.removesuffix('.0')}e{int(exponent)}" if value else "0"


def _is_short(value: float, digits: int) -> bool:
    return abs(round(value, digits) - value) <= 1e-3 * abs(value)


def _step(low: float, high: float, most: int) -> float:
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    return next(power * f for f in (1, 2, 5, 10) if power * f >= rough * (1 - 1e-9))


def _valid(point: Point, x: Axis, y: Axis) -> bool:
    finite = all(math.isfinite(value) for value in point)
    return finite and (point.x > 0 or not x.log) and (point.y > 0 or not y.log)


@dataclasses.dataclass(frozen=True)
class _Scale:
    """The map from [low, high] to [start, end], and the ticks in it."""

    low: float
    high: float
    start: float
    end: float
    log: bool
    ticks: Sequence[float]

    @property
    def labels(self) -> list[str]:
        """Those of the ticks."""
        return labels(self.ticks, self.log)

    def __call__(self, value: float) -> float:
        place = math.log if self.log else float
        span = place(self.high) - place(self.low)
        share = (place(value) - place(self.low)) / span if span else 0.5
        return self.start + share * (self.end - self.start)


def _across(values: Sequence[float], axis: Axis) -> _Scale:
    low, high = min(values), max(values)
    if axis.zero:
        low = min(low, 0.0)
    found = log_ticks(low, high) if axis.log else ticks(low, high, 5)
    return _Scale(low, high, _LEFT + 4, _WIDTH - _RIGHT, axis.log, found)


def _up(values: Sequence[float], axis: Axis) -> _Scale:
    """A linear one ends at ticks, so that every point is between two lines."""
    if axis.log:
        positive = [value for value in values if value > 0]
        low, high = min(positive), max(positive)
        found = log_ticks(low, high)
    else:
        low, high = min(values), max(values)
        if axis.zero or low == high:
            low, high = min(low, 0.0), max(high, 0.0)
        if low < high:
            step = _step(low, high, 5)
            low, high = (math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9))
            low, high = low * step, high * step
        found = ticks(low, high, 5)
    return _Scale(low, high, _HEIGHT - _BOTTOM, _TOP, axis.log, found)


def _grid_lines(up: _Scale) -> list[str]:
    return [
        f'<path d="M{_LEFT} {up(value):.1f}H{_WIDTH - _RIGHT}" class="grid"/>'
        f'<text x="{_LEFT - 5}" y="{up(value):.1f}" dy=".35em" text-anchor="end">{label}</text>'
        for value, label in zip(up.ticks, up.labels, strict=True)
    ]


def _x_labels(across: _Scale, name: str) -> list[str]:
    below = _HEIGHT - _BOTTOM + 15
    found = [
        f'<text x="{across(value):.1f}" y="{below}" text-anchor="middle">{label}</text>'
        for value, label in zip(across.ticks, across.labels, strict=True)
    ]
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    title = f'<text x="{middle}" y="{_HEIGHT - 5}" text-anchor="middle">{escape(name)}</text>'
    return [*found, title]


def _curve(points: Sequence[Point], index: int, across: _Scale, up: _Scale) -> str:
    places = [(f"{across(p.x):.1f}", f"{up(p.y):.1f}") for p in points]
    parts = [f'<path d="M{"L".join(" ".join(place) for place in places)}" {_stroke(index)}/>']
    parts += [_error_bar(p, across, up, index) for p in points if p.error]
    if len(points) <= _FEW:
        fill = f"var(--c{index % _COLORS})"
        parts += [f'<circle cx="{x}" cy="{y}" r="2.5" fill="{fill}"/>' for x, y in places]
    return "".join(parts) if points else ""


def _error_bar(point: Point, across: _Scale, up: _Scale, index: int) -> str:
    low = point.y - point.error
    bottom = up(max(low, up.low) if up.log else low)
    return f'<path d="M{across(point.x):.1f} {bottom:.1f}V{up(point.y + point.error):.1f}" ' + (
        f'stroke="var(--c{index % _COLORS})"/>'
    )


def _stroke(index: int) -> str:
    color, dash = f"var(--c{index % _COLORS})", _DASHES[index // _COLORS % len(_DASHES)]
    return f'fill="none" stroke="{color}" stroke-width="1.6" stroke-dasharray="{dash}"'
