"""Charts as SVG, whose colours follow the page's."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

Points = Sequence[tuple[float, float]]

# In units that are pixels on a phone, so that the text is legible there.
_WIDTH, _HEIGHT = 360, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 10, 8, 22
_COLORS = 8  # page.py names them --c0 to --c7
_DASHES = ("", "6 3", "2 3")  # for those beyond the eighth
_MOST = 300  # points of a curve: more than there are pixels would only make the file larger


def line_chart(series: Mapping[str, Points], text: str, log_y: bool = False) -> str:
    """Curves over one x axis.

    Args:
        series: points (x, y) by the curve's name. Those that are not finite are left out and, on a
            logarithmic axis, those that are not positive.
        text: what it shows, for those who cannot see it.
        log_y: whether the y axis is logarithmic.

    Returns:
        An <svg> element; "" if there is no point.
    """
    shown = {name: thin(_valid(points, log_y)) for name, points in series.items()}
    every = [point for points in shown.values() for point in points]
    if not every:
        return ""
    xs, ys = zip(*every, strict=True)
    x_ticks = ticks(min(xs), max(xs), 5)
    y_ticks = log_ticks(min(ys), max(ys)) if log_y else ticks(min(ys), max(ys), 5)
    across = _scale(min(xs), max(xs), _LEFT, _WIDTH - _RIGHT)
    low, high = min(*ys, *y_ticks), max(*ys, *y_ticks)
    up = _scale(low, high, _HEIGHT - _BOTTOM, _TOP, log_y)
    parts = [_y_tick(up(value), value) for value in y_ticks]
    parts += [_x_tick(across(value), value) for value in x_ticks]
    parts += [
        _curve([(across(x), up(y)) for x, y in points], index)
        for index, points in enumerate(shown.values())
    ]
    label = escape(text)
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{label}">'
        + "".join(parts)
        + "</svg>"
    )


def legend(names: Sequence[str]) -> str:
    """Which colour is which curve, as HTML."""
    items = (
        f'<span><b style="color:var(--c{index % _COLORS})">{_mark(index)}</b> {escape(name)}</span>'
        for index, name in enumerate(names)
    )
    return '<div class="legend">' + " ".join(items) + "</div>"


def thin(points: Points) -> Points:
    """At most a few hundred points, each the mean of neighbours; the last stays as it is."""
    if len(points) <= _MOST:
        return points
    size = math.ceil(len(points) / _MOST)
    parts = [points[start : start + size] for start in range(0, len(points) - 1, size)]
    means = [tuple(math.fsum(v) / len(part) for v in zip(*part, strict=True)) for part in parts]
    return [*means, points[-1]]


def ticks(low: float, high: float, most: int) -> list[float]:
    """Round numbers in an interval, at most so many: steps of 1, 2 or 5 times a power of 10."""
    if high <= low:
        return [low]
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [index * step for index in range(first, last + 1)] or [low]


def log_ticks(low: float, high: float) -> list[float]:
    """Powers of 10 between two positive numbers; 1, 2 and 5 times them if there are few."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1,), (1, 2, 5)):
        found = [f * 10.0**p for p in powers for f in factors if low <= f * 10.0**p <= high]
        if len(found) >= 3:
            return found[:: math.ceil(len(found) / 6)]
    return ticks(low, high, 5)


def _valid(points: Points, log_y: bool) -> Points:
    return [
        (x, y) for x, y in points if math.isfinite(x) and math.isfinite(y) and (y > 0 or not log_y)
    ]


def _scale(low: float, high: float, start: float, end: float, log: bool = False):
    """The map from [low, high] to [start, end]; the middle if they are equal."""
    place = math.log if log else float
    span = place(high) - place(low)

    def scale(value: float) -> float:
        share = (place(value) - place(low)) / span if span else 0.5
        return start + share * (end - start)

    return scale


def _y_tick(y: float, value: float) -> str:
    return (
        f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}" '
        'stroke="var(--line)" stroke-width="1"/>'
        f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{number(value)}</text>'
    )


def _x_tick(x: float, value: float) -> str:
    inside = min(x, _WIDTH - _RIGHT - 8)
    return f'<text x="{inside:.1f}" y="{_HEIGHT - 6}" text-anchor="middle">{number(value)}</text>'


def number(value: float) -> str:
    """A tick's number: 1.3M, 250k, 0.05."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= 10 * size or (abs(value) >= size and letter == "M"):
            return f"{value / size:.4g}{letter}"
    return f"{value:.4g}"


def _curve(points: Points, index: int) -> str:
    color, dash = f"var(--c{index % _COLORS})", _DASHES[index // _COLORS % len(_DASHES)]
    if len(points) == 1:
        (x, y) = points[0]
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{color}"/>'
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    return (
        f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="1.6"{dashed} '
        'stroke-linejoin="round"/>'
    )


def _mark(index: int) -> str:
    return ("—", "╌", "┈")[index // _COLORS % len(_DASHES)]
