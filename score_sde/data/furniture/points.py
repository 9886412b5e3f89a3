"""Sets of points on the surfaces of furniture, with names and categories.

Each example is of unit size, about the middle of its box, the third axis up; `metres` says how far
its farthest corner is. A shape for training is drawn several times, with other points each.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from score_sde import fields
from score_sde.data import stored
from score_sde.data.base import DataError, Source
from score_sde.data.furniture import catalogue
from score_sde.data.furniture.catalogue import LICENSE, SPLITS, TEST, TRAIN
from score_sde.formats import obj

NAME = "furniture_points"
POINTS = 256  # of an example
DRAWS = {TRAIN: 8, TEST: 1}  # examples of a shape
_MOST_NAME = 64  # bytes
_AGAIN = f"remove it, and python -m score_sde.data prepare {NAME}"


def prepare(
    folder: Path, source: str | os.PathLike | None = None, say: Callable[[str], None] = print
) -> None:
    """Draws points on all meshes and writes them; does nothing if that is done already.

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
        for _ in range(DRAWS[thing.split]):
            points = obj.surface(rng, thing.triangles, POINTS).astype(np.float32)
            rows[thing.split].append({"points": points, "metres": thing.radius, "thing": thing})
    write(folder, NAME, (fields.points(POINTS, 3), fields.number("metres")), rows)
    say(", ".join(f"{split} {len(part):,}" for split, part in rows.items()))


def write(
    folder: Path, name: str, own: tuple[fields.Field, ...], rows: dict[str, list[dict[str, Any]]]
) -> None:
    """Writes examples with the name and the category of what they are of.

    Args:
        folder: that is made.
        name: of the set.
        own: the other fields.
        rows: by split, values of the fields by name, and a Thing as "thing".

    Raises:
        DataError: a split is empty.
    """
    categories = sorted({row["thing"].category for part in rows.values() for row in part})
    category = fields.label(len(categories), tuple(categories), "category")
    described = (*own, fields.text(_MOST_NAME), category)
    splits = {}
    for split, part in rows.items():
        if not part:
            raise DataError(f"the libraries have nothing for split {split}: give more of them")
        names = [row["thing"].name.encode()[:_MOST_NAME].decode(errors="ignore") for row in part]
        kinds = [categories.index(row["thing"].category) for row in part]
        splits[split] = {
            **{field.name: np.stack([row[field.name] for row in part]) for field in own},
            "text": fields.encode_texts(names, _MOST_NAME),
            "category": np.array(kinds, np.int32),
        }
    stored.write(folder, name, described, splits, license=LICENSE)


def load(folder: Path, split: str = TRAIN) -> Source:
    """Opens the set; see stored.load."""
    missing = f"{folder} is not there: python -m score_sde.data prepare {NAME}"
    return stored.load(folder, NAME, split, missing, _AGAIN)
