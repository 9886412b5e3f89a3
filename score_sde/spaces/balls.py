"""Pictures of molecules and chains: shaded balls, and sticks and tubes that are rows of balls.

Each is seen along the axis in which it extends least, so that most of it shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

SIDE = 128  # pixels of a picture
_MARGIN = 0.06  # of a picture, on each side
_LIGHT = np.array([-0.4, 0.5, 0.77])  # from where, in (right, up, towards the eye)
_AMBIENT = 0.35
_STEP = 0.08  # angstroms between the balls of a stick


class Balls(NamedTuple):
    """What is drawn; balls of no radius are not seen.

    Attributes:
        centres: angstroms, [n, 3].
        radii: angstroms, [n].
        colours: from 0 to 255, [n, 3].
    """

    centres: np.ndarray
    radii: np.ndarray
    colours: np.ndarray


def joined(parts: Sequence[Balls]) -> Balls:
    """All of several."""
    return Balls(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def stick(ends: np.ndarray, radius: float, colours: np.ndarray) -> Balls:
    """A stick from one place to another, [2, 3], half of it in the colour of each, [2, 3]."""
    steps = max(2, int(np.ceil(np.linalg.norm(ends[1] - ends[0]) / _STEP)))
    share = np.linspace(0, 1, steps)[:, None]
    chosen = np.where(share < 0.5, colours[:1], colours[1:])
    return Balls(ends[0] + share * (ends[1] - ends[0]), np.full(steps, radius), chosen)


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
    canvas = np.full((side, side, 3), 255, np.uint8)
    if not len(balls.centres):
        return canvas
    places = (balls.centres - balls.centres.mean(axis=0)) @ turned(balls.centres).T
    low = (places - balls.radii[:, None]).min(axis=0)
    high = (places + balls.radii[:, None]).max(axis=0)
    unit = side * (1 - 2 * _MARGIN) / max(high[0] - low[0], high[1] - low[1], 1e-6)
    middle = (low + high) / 2
    columns = side / 2 + unit * (places[:, 0] - middle[0])
    rows = side / 2 - unit * (places[:, 1] - middle[1])
    depth = np.full((side, side), -np.inf)
    light = _LIGHT / np.linalg.norm(_LIGHT)
    for row, column, height, radius, colour in zip(
        rows, columns, unit * places[:, 2], unit * balls.radii, balls.colours, strict=True
    ):
        top, bottom = max(0, int(row - radius)), min(side, int(row + radius) + 2)
        left, right = max(0, int(column - radius)), min(side, int(column + radius) + 2)
        y, x = np.mgrid[top:bottom, left:right]
        across, up = (x + 0.5 - column) / radius, (row - y - 0.5) / radius
        bulge = 1 - across**2 - up**2
        front = np.sqrt(np.maximum(bulge, 0))
        part = depth[top:bottom, left:right]
        seen = (bulge >= 0) & (height + radius * front > part)
        part[seen] = (height + radius * front)[seen]
        shade = light[0] * across + light[1] * up + light[2] * front
        shade = _AMBIENT + (1 - _AMBIENT) * np.maximum(shade, 0)
        canvas[top:bottom, left:right][seen] = (shade[..., None] * colour)[seen].astype(np.uint8)
    return canvas
