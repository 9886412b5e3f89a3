"""Sets of what is made of things: with the name and the category of each."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from score_sde import fields
from score_sde.data import stored
from score_sde.data.base import DataError
from score_sde.data.furniture import catalogue
from score_sde.data.furniture.catalogue import LICENSE, PACKAGE, SPLITS, TRAIN, Thing

NEEDS = f"apt-get install {PACKAGE}, or --from=PATH, .sh3f files"
_MOST_NAME = 64  # bytes
Rows = list[tuple[Thing, dict[str, Any]]]


def write(
    folder: Path,
    name: str,
    own: tuple[fields.Field, ...],
    made: Callable[[Thing], Iterable[dict[str, Any]]],
    source: str | os.PathLike | None,
    say: Callable[[str], None],
) -> None:
    """Makes the examples of all things and writes them; does nothing if that is done already.

    Args:
        folder: that is made.
        name: of the set.
        own: the fields beside the name and the category.
        made: of a thing its examples, values of `own` by name.
        source: see catalogue.things.
        say: is told how far it is.

    Raises:
        DataError: there are no libraries, one is damaged, or a split is empty.
    """
    if stored.ready(folder, name):
        return
    rows: dict[str, Rows] = {split: [] for split in SPLITS}
    for thing in catalogue.things(source, say):
        rows[thing.split] += [(thing, values) for values in made(thing)]
    categories = sorted({thing.category for part in rows.values() for thing, _ in part})
    category = fields.label(len(categories), tuple(categories), "category")
    splits = {split: _arrays(part, split, own, categories) for split, part in rows.items()}
    words = fields.words_of(fields.decode_texts(splits[TRAIN]["text"]))
    described = (*own, fields.text(_MOST_NAME, vocabulary=words), category)
    stored.write(folder, name, described, splits, license=LICENSE)
    say(", ".join(f"{split} {len(part):,}" for split, part in rows.items()))


def _arrays(
    rows: Rows, split: str, own: tuple[fields.Field, ...], categories: list[str]
) -> dict[str, np.ndarray]:
    if not rows:
        raise DataError(f"the libraries have nothing for split {split}: give more of them")
    names = [thing.name.encode()[:_MOST_NAME].decode(errors="ignore") for thing, _ in rows]
    kinds = [categories.index(thing.category) for thing, _ in rows]
    return {
        **{field.name: np.stack([values[field.name] for _, values in rows]) for field in own},
        "text": fields.encode_texts(names, _MOST_NAME),
        "category": np.array(kinds, np.int32),
    }
