"""Triangles of Wavefront OBJ files. Only places and faces are read: no material, no other file."""

from __future__ import annotations

import numpy as np

MOST_BYTES = 2**26
_MOST_TRIANGLES = 4_000_000
_FARTHEST = 1e60  # a place on an axis, with which areas are numbers still


def triangles(data: bytes) -> np.ndarray:
    """The triangles of a file, polygons as fans; those of no area are left out.

    Args:
        data: the file.

    Returns:
        float64 [n, 3, 3]: of each the places of its corners, n at least 1.

    Raises:
        ValueError: it is too large, holds no face, or a line means nothing.
    """
    if len(data) > MOST_BYTES:
        raise ValueError(f"it is larger than {MOST_BYTES:,} bytes")
    places, corners = [], []
    for number, line in enumerate(data.replace(b"\\\n", b" ").splitlines(), 1):
        if line.startswith(b"v "):
            places.append(line[2:].split()[:3])
        elif line.startswith(b"f "):
            try:
                face = [int(word.partition(b"/")[0]) for word in line[2:].split()]
            except ValueError as error:
                raise ValueError(f"line {number} is no face") from error
            # Numbers below 0 count back from the last place.
            face = [i - 1 if i > 0 else len(places) + i if i else -1 for i in face]
            corners += zip([face[0]] * (len(face) - 2), face[1:], face[2:], strict=False)
            if len(corners) > _MOST_TRIANGLES:
                raise ValueError(f"it has more than {_MOST_TRIANGLES:,} triangles")
    try:
        where = np.array(places, dtype=np.float64).reshape(-1, 3)
    except ValueError as error:
        raise ValueError("a vertex is not of three numbers") from error
    try:
        index = np.array(corners, np.int64).reshape(-1, 3)
    except OverflowError as error:
        raise ValueError("a face has a vertex that is not there") from error
    if not len(index) or not (np.abs(where) < _FARTHEST).all():
        raise ValueError("it has no faces, or places that are not finite")
    if index.min() < 0 or index.max() >= len(where):
        raise ValueError("a face has a vertex that is not there")
    found = where[index]
    found = found[areas(found) > 0]
    if not len(found):
        raise ValueError("its faces have no area")
    return found


def areas(triangles: np.ndarray) -> np.ndarray:
    """Of triangles [n, 3, 3] each its area, [n]."""
    a, b, c = (triangles[:, i] for i in range(3))
    return np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2


def surface(rng: np.random.Generator, triangles: np.ndarray, number: int) -> np.ndarray:
    """Points that are uniform on a surface (Osada et al. 2002, Section 4.2).

    A triangle is drawn by its area, and in it, with u and v uniform and r = sqrt u, the point
    (1 - r) a + r (1 - v) b + r v c.

    Args:
        rng: draws.
        triangles: [n, 3, 3].
        number: of points.

    Returns:
        float64 [number, 3].
    """
    share = areas(triangles)
    chosen = triangles[rng.choice(len(share), number, p=share / share.sum())]
    r, v = np.sqrt(rng.random(number))[:, None], rng.random(number)[:, None]
    return (1 - r) * chosen[:, 0] + r * (1 - v) * chosen[:, 1] + r * v * chosen[:, 2]
