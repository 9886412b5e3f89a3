"""Pictures of triangles and their depth, by a z-buffer.

Seen from far away, so that lines which are parallel stay so. A point of a triangle is a mixture of
its corners, with weights that are linear in the place on the picture; of all triangles at a pixel
the nearest is seen (Catmull 1974).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

_FINER = 2  # pixels drawn for one of the picture, in each direction
_MARGIN = 0.04  # of a picture, on each side
_LIGHT = np.array([0.35, 0.55, 0.76])  # where it comes from: right, up, from the eye
_AMBIENT = 0.3
_AT_ONCE = 2**21  # pairs of a triangle and a pixel


def picture(
    triangles: np.ndarray, turn: float, elevation: float, side: int
) -> tuple[np.ndarray, np.ndarray]:
    """A grey picture on white and its depth.

    Args:
        triangles: [n, 3, 3], within the unit ball.
        turn: of the eye about the third axis, radians.
        elevation: of the eye above the plane of the others, radians.
        side: pixels.

    Returns:
        The picture and the depth, uint8 [side, side, 1]: 0 where there is nothing, else from 32,
        one radius behind the centre, to 255, one before it.
    """
    seen = triangles @ camera(turn, elevation).T
    depth, normals = buffers(seen, _FINER * side)
    there = np.isfinite(depth)
    light = np.abs(normals @ (_LIGHT / np.linalg.norm(_LIGHT)))
    shade = np.where(there, 235 * (_AMBIENT + (1 - _AMBIENT) * light), 255)
    near = np.where(there, 32 + 223 * (np.clip(np.where(there, depth, 0), -1, 1) + 1) / 2, 0)
    return tuple(_coarser(one).round().astype(np.uint8)[..., None] for one in (shade, near))


def camera(turn: float, elevation: float) -> np.ndarray:
    """From space to (right, up, towards the eye), a rotation [3, 3]."""
    cos, sin = np.cos(turn), np.sin(turn)
    towards = np.array([np.cos(elevation) * sin, -np.cos(elevation) * cos, np.sin(elevation)])
    right = np.array([cos, sin, 0.0])
    return np.stack([right, np.cross(towards, right), towards])


def buffers(seen: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """What is nearest at each pixel.

    Args:
        seen: triangles in (right, up, towards the eye), [n, 3, 3], within the unit ball.
        side: pixels.

    Returns:
        How near it is, [side, side], -inf where there is nothing; and the unit normal of its
        triangle, [side, side, 3].
    """
    half = side * (1 - 2 * _MARGIN) / 2
    # Columns and rows, pixel (i, j) being the square about (i + 0.5, j + 0.5).
    flat = np.stack([side / 2 + half * seen[..., 0], side / 2 - half * seen[..., 1]], axis=-1)
    normals = np.cross(seen[:, 1] - seen[:, 0], seen[:, 2] - seen[:, 0])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-300)
    depth, nearest = np.full(side * side, -np.inf), np.zeros(side * side, np.int64)
    for triangle, pixel, height in _covered(flat, seen[..., 2], side):
        order = np.argsort(height, kind="stable")
        triangle, pixel, height = triangle[order], pixel[order], height[order]
        nearer = height > depth[pixel]
        # The last of those written at a pixel stays, which is the nearest.
        depth[pixel[nearer]], nearest[pixel[nearer]] = height[nearer], triangle[nearer]
    return depth.reshape(side, side), normals[nearest].reshape(side, side, 3)


def _covered(
    flat: np.ndarray, heights: np.ndarray, side: int
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Pairs of a triangle and a pixel whose middle it covers, and how near it is there."""
    low = np.clip(np.ceil(flat.min(1) - 0.5), 0, side).astype(np.int64)
    high = np.clip(np.floor(flat.max(1) - 0.5), -1, side - 1).astype(np.int64)
    extent = np.maximum(high - low + 1, 0)
    counts = extent.prod(axis=1)
    some = np.flatnonzero(counts)
    ends = np.cumsum(counts[some])
    start = 0
    while start < len(some):
        base = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, base + _AT_ONCE, side="right")))
        part = some[start:stop]
        triangle = np.repeat(part, counts[part])
        before = np.cumsum(counts[part]) - counts[part]
        offset = np.arange(len(triangle)) - np.repeat(before, counts[part])
        column = low[triangle, 0] + offset % extent[triangle, 0]
        row = low[triangle, 1] + offset // extent[triangle, 0]
        weights = _weights(flat[triangle], np.stack([column, row], axis=-1) + 0.5)
        inside = (weights >= 0).all(axis=1)
        height = (weights * heights[triangle]).sum(axis=1)[inside]
        yield triangle[inside], (row * side + column)[inside], height
        start = stop


def _weights(flat: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Weights of the corners of triangles [n, 3, 2] of which points [n, 2] are mixtures.

    [n, 3], summing to 1; -1 for triangles that are seen from the side.
    """
    a, b, c = (flat[:, i] for i in range(3))
    whole = _cross(b - a, c - a)
    of_b, of_c = _cross(points - a, c - a), _cross(b - a, points - a)
    safe = np.where(whole == 0, 1, whole)
    v, w = of_b / safe, of_c / safe
    found = np.stack([1 - v - w, v, w], axis=-1)
    return np.where((whole == 0)[:, None], -1.0, found)


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]


def _coarser(fine: np.ndarray) -> np.ndarray:
    side = len(fine) // _FINER
    return fine.reshape(side, _FINER, side, _FINER).mean(axis=(1, 3))
