"""Pictures of furniture from some sides, with the depth that they were drawn by."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from score_sde import fields
from score_sde.data import stored
from score_sde.data.base import Source
from score_sde.data.furniture import catalogue, rendering
from score_sde.data.furniture.catalogue import SPLITS, TRAIN
from score_sde.data.furniture.points import write

NAME = "furniture_depth"
SIDE = 32  # pixels of a picture
VIEWS = 6  # of a thing
_ELEVATIONS = (5.0, 45.0)  # degrees
_AGAIN = f"remove it, and python -m score_sde.data prepare {NAME}"


def prepare(
    folder: Path, source: str | os.PathLike | None = None, say: Callable[[str], None] = print
) -> None:
    """Draws all meshes and writes the pictures; does nothing if that is done already.

    Args:
        folder: of the set, that is made.
        source: see catalogue.things.
        say: is told how far it is.

    Raises:
        DataError: there are no libraries, or one is damaged.
    """
    if folder.exists():
        load(folder)
        return
    rows: dict[str, list[dict[str, Any]]] = {split: [] for split in SPLITS}
    for thing in catalogue.things(source, say):
        rng = np.random.default_rng(thing.seed)
        for _ in range(VIEWS):
            turn, elevation = rng.uniform(0, 2 * np.pi), np.deg2rad(rng.uniform(*_ELEVATIONS))
            image, depth = rendering.picture(thing.triangles, turn, elevation, SIDE)
            rows[thing.split].append({"image": image, "depth": depth, "thing": thing})
    shape = (SIDE, SIDE, 1)
    write(folder, NAME, (fields.image(shape), fields.image(shape, name="depth")), rows)
    say(", ".join(f"{split} {len(part):,}" for split, part in rows.items()))


def load(folder: Path, split: str = TRAIN) -> Source:
    """Opens the set; see stored.load."""
    missing = f"{folder} is not there: python -m score_sde.data prepare {NAME}"
    return stored.load(folder, NAME, split, missing, _AGAIN)
