"""Grids of a study: lists of points, which `axis` makes and `product` and `zipped` combine.

Two lists joined with + are the points of both. A point names what it changes, so that tables can
say it, and changes fields of a config by their dotted paths.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from score_sde.errors import UserError
from score_sde.sweep.program import Program


@dataclasses.dataclass(frozen=True)
class Point:
    """One setting of a study.

    Attributes:
        labels: what a table calls it, by axis.
        changes: values by the dotted path of a field; "config" is the recipe, such as
            configs/digits_vp.py or configs/paper.py:NAME.
        programs: what is run for it after the programs that measure every row of the study.
        train: what trains it, if not the programs that train the others.
    """

    labels: Mapping[str, str]
    changes: Mapping[str, Any]
    programs: tuple[Program, ...] = ()
    train: tuple[Program, ...] = ()

    def __or__(self, other: Point) -> Point:
        """Both at once; where both change a field, the right one wins."""
        twice = self.labels.keys() & other.labels.keys()
        if twice:
            raise UserError(f"two axes of a grid are called {min(twice)!r}: give them two names")
        return Point(
            {**self.labels, **other.labels},
            {**self.changes, **other.changes},
            self.programs + other.programs,
            other.train or self.train,
        )


def axis(
    name: str, values: Mapping[str, Mapping[str, Any]], programs: Sequence[Program] = ()
) -> list[Point]:
    """A point for each value.

    Args:
        name: what varies; the heading of its column.
        values: the changes that each label means.
        programs: see Point.
    """
    return [Point({name: label}, dict(v), tuple(programs)) for label, v in values.items()]


def product(*grids: Sequence[Point]) -> list[Point]:
    """Every combination of a point from each of the grids; the last one varies fastest."""
    return [functools.reduce(Point.__or__, points) for points in itertools.product(*grids)]


def zipped(*grids: Sequence[Point]) -> list[Point]:
    """The first points of all grids together, the second ones, and so on.

    Raises:
        UserError: the grids differ in length.
    """
    lengths = sorted({len(grid) for grid in grids})
    if len(lengths) > 1:
        raise UserError(f"zipped grids must be of one length, not {lengths}")
    return [functools.reduce(Point.__or__, points) for points in zip(*grids, strict=True)]
