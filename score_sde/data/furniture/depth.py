"""Pictures of furniture from some sides, with the depth that they were drawn by."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from score_sde import fields
from score_sde.data import stored
from score_sde.data.base import Source
from score_sde.data.furniture import described, rendering
from score_sde.data.furniture.catalogue import TRAIN, Thing

NAME = "furniture_depth"
NEEDS = described.NEEDS
SIDE = 32  # pixels of a picture
VIEWS = 6  # of a thing
_ELEVATIONS = (5.0, 45.0)  # degrees


def prepare(
    folder: Path, source: str | os.PathLike | None = None, say: Callable[[str], None] = print
) -> None:
    """Draws all meshes and writes the pictures; see described.write."""
    shape = (SIDE, SIDE, 1)
    own = fields.image(shape), fields.image(shape, name="depth")
    described.write(folder, NAME, own, _examples, source, say)


def _examples(thing: Thing) -> Iterator[dict[str, Any]]:
    rng = np.random.default_rng(thing.seed)
    for _ in range(VIEWS):
        turn, elevation = rng.uniform(0, 2 * np.pi), np.deg2rad(rng.uniform(*_ELEVATIONS))
        image, depth = rendering.picture(thing.triangles, turn, elevation, SIDE)
        yield {"image": image, "depth": depth}


def load(folder: Path, split: str = TRAIN) -> Source:
    """Opens the set; see stored.load_prepared."""
    return stored.load_prepared(folder, NAME, split)
