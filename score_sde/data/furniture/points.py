"""Sets of points on the surfaces of furniture, with names and categories.

Each example is of unit size, about the middle of its box, the third axis up; `metres` says how far
its farthest corner is. A shape for training is drawn several times, with other points each.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from score_sde import fields
from score_sde.data import stored
from score_sde.data.base import Source
from score_sde.data.furniture import described
from score_sde.data.furniture.catalogue import TEST, TRAIN, Thing
from score_sde.formats import obj

NAME = "furniture_points"
NEEDS = described.NEEDS
POINTS = 256  # of an example
DRAWS = {TRAIN: 8, TEST: 1}  # examples of a shape


def prepare(
    folder: Path, source: str | os.PathLike | None = None, say: Callable[[str], None] = print
) -> None:
    """Draws points on all meshes and writes them; see described.write."""
    own = fields.points(POINTS, 3), fields.number("metres")
    described.write(folder, NAME, own, _examples, source, say)


def _examples(thing: Thing) -> Iterator[dict[str, Any]]:
    rng = np.random.default_rng(thing.seed)
    for _ in range(DRAWS[thing.split]):
        points = obj.surface(rng, thing.triangles, POINTS).astype(np.float32)
        yield {"points": points, "metres": thing.radius}


def load(folder: Path, split: str = TRAIN) -> Source:
    """Opens the set; see stored.load_prepared."""
    return stored.load_prepared(folder, NAME, split)
