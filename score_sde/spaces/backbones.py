"""Backbones of proteins: the places of C-alphas in the order of the chain, in angstroms."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import ClassVar

import jax
import numpy as np

from score_sde.formats import pdb
from score_sde.spaces import balls, pictures
from score_sde.spaces.points import PLACES, Points

_RADIUS = 0.7  # of the tube that is drawn
_SMOOTH = 6  # balls from one C-alpha to the next
_ENDS = np.array([[40, 70, 220], [60, 200, 110], [235, 200, 50], [220, 50, 40]])  # of the chain


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Backbones(Points):
    """Points that are a chain: their order matters, and files of proteins and tubes show them."""

    MOST: ClassVar[int] = 36

    def save(self, folder: Path, start: int, examples: np.ndarray) -> None:
        """As 000000.pdb and so on, a chain of glycines that have C-alphas only."""
        for number, example in enumerate(examples, start):
            places = example[example.any(axis=-1), :PLACES]
            pdb.write(folder / f"{number:06d}.pdb", [pdb.trace(places)])

    def corner(self, count: int) -> tuple[int, int]:
        """That of so many examples across and down."""
        return pictures.picture_size(balls.SIDE, balls.SIDE, count, count)

    def show(self, path: Path, examples: np.ndarray, columns: int | None = None) -> None:
        """Each as a smooth tube, blue where it begins and red where it ends."""
        drawn = np.stack([balls.draw(_tube(one[one.any(axis=-1), :PLACES])) for one in examples])
        pictures.save_grid(path, drawn, columns)


def _tube(places: np.ndarray) -> balls.Balls:
    """Balls along the curve of Catmull and Rom (1974) through places, [n, 3]."""
    padded = np.concatenate([places[:1], places, places[-1:]]).astype(np.float64)
    before, here, there, after = padded[:-3], padded[1:-2], padded[2:-1], padded[3:]
    share = (np.arange(_SMOOTH) / _SMOOTH)[:, None, None]
    curve = here + share / 2 * (
        there
        - before
        + share * (2 * before - 5 * here + 4 * there - after)
        + share**2 * (3 * (here - there) + after - before)
    )
    centres = np.concatenate([curve.swapaxes(0, 1).reshape(-1, 3), places[-1:]])
    along = np.linspace(0, len(_ENDS) - 1, len(centres))
    colours = np.stack([np.interp(along, range(len(_ENDS)), c) for c in _ENDS.T], axis=1)
    return balls.Balls(centres, np.full(len(centres), _RADIUS), colours)
