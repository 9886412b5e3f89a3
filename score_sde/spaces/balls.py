"""Pictures of molecules and chains: shaded balls, and sticks and tubes that are rows of balls.

Each is seen along the axis in which it extends least, so that most of it shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

SIDE = 160  # pixels of a picture
_MARGIN = 0.06  # of a picture, on each side
_LIGHT = np.array([-0.4, 0.5, 0.77]) / np.linalg.norm([-0.4, 0.5, 0.77])  # right, up, to the eye
_AMBIENT = 0.35
_STEP = 0.08  # angstroms between the balls of a stick
OUTLINE = "magenta"  # what the outlines are, in words
_MAGENTA = np.array([230, 0, 170])
_AROUND = 2.0  # pixels of an outline
_FINER = 2  # times, is it drawn, and pixels are means: edges are smooth
_FAR = 0.35  # how white the farthest is


class Balls(NamedTuple):
    """What is drawn; balls of no radius are not seen.

    Attributes:
        centres: angstroms, [n, 3].
        radii: angstroms, [n].
        colours: from 0 to 255, [n, 3].
        outlined: which of them together have an outline, bool [n].
    """

    centres: np.ndarray
    radii: np.ndarray
    colours: np.ndarray
    outlined: np.ndarray


def joined(parts: Sequence[Balls]) -> Balls:
    """All of several."""
    return Balls(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def stick(ends: np.ndarray, radius: float, colours: np.ndarray, outlined: bool) -> Balls:
    """A stick from one place to another, [2, 3], half of it in the colour of each, [2, 3]."""
    steps = max(2, int(np.ceil(np.linalg.norm(ends[1] - ends[0]) / _STEP)))
    share = np.linspace(0, 1, steps)[:, None]
    chosen = np.where(share < 0.5, colours[:1], colours[1:])
    centres = ends[0] + share * (ends[1] - ends[0])
    return Balls(centres, np.full(steps, radius), chosen, np.full(steps, outlined))


def turned(places: np.ndarray) -> np.ndarray:
    """The axes (right, up, towards the eye) from which places [n, 3] are seen best, as rows."""
    centred = places - places.mean(axis=0)
    _, axes = np.linalg.eigh(centred.T @ centred)
    right, up = axes[:, 2], axes[:, 1]
    # Of the two directions of an axis one is chosen by the points, or a turn would be another side.
    right, up = (axis * _sign(centred @ axis) for axis in (right, up))
    return np.stack([right, up, np.cross(right, up)])


def _sign(along: np.ndarray) -> float:
    return 1.0 if np.sum(along**3) >= 0 else -1.0


def draw(balls: Balls, side: int = SIDE) -> np.ndarray:
    """One picture, uint8 [side, side, 3], white behind; what is there fills it."""
    side *= _FINER
    canvas = np.full((side, side, 3), 255.0)
    if not len(balls.centres):
        return _coarser(canvas)
    places = (balls.centres - balls.centres.mean(axis=0)) @ turned(balls.centres).T
    low = (places - balls.radii[:, None]).min(axis=0)
    high = (places + balls.radii[:, None]).max(axis=0)
    unit = side * (1 - 2 * _MARGIN) / max(high[0] - low[0], high[1] - low[1], 1e-6)
    middle = (low + high) / 2
    columns = side / 2 + unit * (places[:, 0] - middle[0])
    rows = side / 2 - unit * (places[:, 1] - middle[1])
    heights, radii = unit * places[:, 2], unit * balls.radii
    away = (heights.max() - heights) / max(np.ptp(heights), 1e-6)
    colours = balls.colours + _FAR * away[:, None] * (255 - balls.colours)
    depth = np.full((side, side), -np.inf)
    for *place, radius, colour, outlined in zip(
        rows, columns, heights, radii, colours, balls.outlined, strict=True
    ):
        _ball(canvas, depth, place, radius, colour)
        if outlined and radius:
            _disc(canvas, depth, place, radius)
    return _coarser(canvas)


def _coarser(canvas: np.ndarray) -> np.ndarray:
    """Means of squares of _FINER pixels, uint8."""
    side = len(canvas) // _FINER
    squares = canvas.reshape(side, _FINER, side, _FINER, 3)
    return np.round(squares.mean(axis=(1, 3))).astype(np.uint8)


def _ball(
    canvas: np.ndarray, depth: np.ndarray, place: Sequence[float], radius: float, colour: np.ndarray
) -> None:
    """Draw a shaded ball where it is nearer than what is there."""
    window, across, up = _around(len(canvas), place, radius)
    bulge = 1 - across**2 - up**2
    front = np.sqrt(np.maximum(bulge, 0))
    near = place[2] + radius * front
    # Few are seen, where balls are close to one another.
    rows, columns = seen = np.nonzero((bulge >= 0) & (near > depth[window]))
    depth[window][seen] = near[seen]
    shade = _LIGHT[0] * across[0, columns] + _LIGHT[1] * up[rows, 0] + _LIGHT[2] * front[seen]
    shade = _AMBIENT + (1 - _AMBIENT) * np.maximum(shade, 0)
    canvas[window][seen] = shade[:, None] * colour


def _disc(canvas: np.ndarray, depth: np.ndarray, place: Sequence[float], radius: float) -> None:
    """Draw the outline of a ball: flat, behind it, and so behind the balls that overlap it."""
    window, across, up = _around(len(canvas), place, radius + _AROUND * _FINER)
    seen = (across**2 + up**2 <= 1) & (place[2] - radius > depth[window])
    depth[window][seen] = place[2] - radius
    canvas[window][seen] = _MAGENTA


def _around(
    side: int, place: Sequence[float], radius: float
) -> tuple[tuple[slice, slice], np.ndarray, np.ndarray]:
    """The pixels about a place, and how far across [1, n] and up [m, 1] of it each is, in radii."""
    row, column, _ = place
    top, bottom = max(0, int(row - radius)), min(side, int(row + radius) + 2)
    left, right = max(0, int(column - radius)), min(side, int(column + radius) + 2)
    y, x = np.ogrid[top:bottom, left:right]
    across, up = (x + 0.5 - column) / radius, (row - y - 0.5) / radius
    return (slice(top, bottom), slice(left, right)), across, up
