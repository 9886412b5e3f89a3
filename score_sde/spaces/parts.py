"""Parts of examples: regions that can be unknown, rows of files, and how what is known was kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from score_sde.structures import superpose

_PLACES = 3


class Rows(NamedTuple):
    """Points in a row that a file holds: the atoms of a molecule, the residues of a chain.

    Attributes:
        name: by which the file tells them from others, "" if it does not.
        numbers: as it counts them, int [k].
        rows: of examples, [k, d].
    """

    name: str
    numbers: np.ndarray
    rows: np.ndarray


def region(slices: Sequence[slice], sides: Sequence[int]) -> np.ndarray:
    """Which elements are in a region, bool [*sides].

    Args:
        slices: of the first axes, in eighths; see Space.REGIONS.
        sides: how long the axes are.
    """
    inside = np.zeros(sides, bool)
    part = zip(slices, sides, strict=False)
    inside[tuple(slice(s.start * n // 8, s.stop * n // 8) for s, n in part)] = True
    return inside


def region_of_rows(along: slice, there: np.ndarray) -> np.ndarray:
    """Which rows are in a region, of sets that differ in size; bool [batch, n].

    Args:
        along: in eighths of the rows that there are of each.
        there: which these are, bool [batch, n].
    """
    place, count = np.cumsum(there, axis=1) - 1, there.sum(axis=1, keepdims=True)
    inside = (place >= along.start * count // 8) & (place < along.stop * count // 8)
    return there & inside


def deviations(samples: np.ndarray, asked: np.ndarray, known: np.ndarray) -> np.ndarray:
    """How far points lie from how they were asked for, after superposition; [batch].

    The root mean square over the known points, in the unit of places.

    Args:
        samples: [batch, n, d], of which the first three numbers are a place.
        asked: likewise.
        known: which points, bool [batch or 1, n, 1].
    """
    chosen = np.broadcast_to(known, (*samples.shape[:2], 1))[..., 0]
    found = np.zeros(len(samples))
    for number, (one, wanted, there) in enumerate(zip(samples, asked, chosen, strict=True)):
        if there.any():
            x, y = (np.asarray(a[there, :_PLACES], np.float64) for a in (one, wanted))
            apart = np.sum((superpose.onto(x, y) - y) ** 2, axis=1)
            found[number] = np.sqrt(np.mean(apart))
    return found
