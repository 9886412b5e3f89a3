"""Pictures of points in space from several sides: shaded discs, the nearer before the farther."""

from __future__ import annotations

import numpy as np

SIDE, VIEWS = 112, 4  # pixels of a view; views of an example, a quarter of a turn apart
FRAMES = 24  # of a whole turn that plays
_ELEVATION = np.deg2rad(20)  # from which they are seen
_FIRST = np.deg2rad(30)  # of the first view, about the third axis
_MARGIN = 0.06  # of a view, on each side
_NEAR, _FAR = np.array([28, 52, 92]), np.array([196, 214, 232])  # colours
_AREA = 1.2  # of a view, that all discs have together


def views(places: np.ndarray, side: int = SIDE) -> np.ndarray:
    """Each set of points as it turns, its views side by side.

    All views of a set are as large: a ball about its centre fills them.

    Args:
        places: [n, points, 3]; a row of zeros is no point.
        side: pixels of a view.

    Returns:
        uint8 [n, side, VIEWS side, 3], white behind the points.
    """
    return np.stack([np.concatenate(_turned(one, side, VIEWS), axis=1) for one in places])


def turning(places: np.ndarray, side: int = SIDE, frames: int = FRAMES) -> np.ndarray:
    """A whole turn of each set about the third axis; the first frame is the first of `views`.

    Args:
        places: as of `views`.
        side: pixels of a frame.
        frames: of the turn, as far apart each.

    Returns:
        uint8 [frames, n, side, side, 3].
    """
    return np.stack([_turned(one, side, frames) for one in places], axis=1)


def _turned(places: np.ndarray, side: int, views: int) -> list[np.ndarray]:
    points = np.asarray(places, np.float64)
    points = points[points.any(axis=-1) & np.isfinite(points).all(axis=-1)]
    if len(points):
        points = points - (points.min(0) + points.max(0)) / 2
        points = points / max(np.linalg.norm(points, axis=1).max(), 1e-12)
    turns = _FIRST + 2 * np.pi * np.arange(views) / views
    return [seen(points @ _camera(turn).T, side) for turn in turns]


def _camera(turn: float) -> np.ndarray:
    """From space to (right, up, towards the eye), [3, 3]."""
    cos, sin = np.cos(turn), np.sin(turn)
    towards = np.array([np.cos(_ELEVATION) * sin, -np.cos(_ELEVATION) * cos, np.sin(_ELEVATION)])
    right = np.array([cos, sin, 0.0])
    return np.stack([right, np.cross(towards, right), towards])


def seen(points: np.ndarray, side: int) -> np.ndarray:
    """Discs of points (right, up, towards the eye), each in [-1, 1]; uint8 [side, side, 3]."""
    canvas = np.full((side, side, 3), 255, np.uint8)
    if not len(points):
        return canvas
    radius = np.clip(side * np.sqrt(_AREA / (np.pi * len(points))), 0.8, side / 12)
    reach = int(np.ceil(radius))
    across, down = (one.ravel() for one in np.mgrid[-reach : reach + 1, -reach : reach + 1])
    half = side * (1 - 2 * _MARGIN) / 2
    columns = np.round(side / 2 + half * points[:, 0, None]).astype(int) + across
    rows = np.round(side / 2 - half * points[:, 1, None]).astype(int) + down
    # A disc is a ball seen from the front: nearer in its middle, and lighter.
    bulge = 1 - (across**2 + down**2) / radius**2
    depth = points[:, 2, None] + bulge * radius / half
    share = np.clip((points[:, 2, None] + 1) / 2, 0, 1)
    light = 0.75 + 0.25 * np.sqrt(np.maximum(bulge, 0))
    colours = (_FAR + (_NEAR - _FAR) * share[..., None]) * light[None, :, None]
    inside = (bulge >= 0) & (rows >= 0) & (rows < side) & (columns >= 0) & (columns < side)
    nearest_last = np.argsort(depth[inside], kind="stable")
    places = rows[inside][nearest_last], columns[inside][nearest_last]
    canvas[places] = np.clip(colours, 0, 255)[inside][nearest_last].astype(np.uint8)
    return canvas
