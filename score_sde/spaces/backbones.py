"""Backbones of proteins: the places of C-alphas in the order of the chain, in angstroms."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import jax
import numpy as np

from score_sde.formats import pdb
from score_sde.spaces import balls, parts, pictures
from score_sde.spaces.points import PLACES, Points
from score_sde.structures import chains

_RADIUS = 0.7  # of the tube that is drawn
_SMOOTH = 16  # balls from one C-alpha to the next
_ENDS = np.array([[40, 70, 220], [60, 200, 110], [235, 200, 50], [220, 50, 40]])  # of the chain


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Backbones(Points):
    """Points that are a chain: their order matters, and files of proteins and tubes show them."""

    MOVES: ClassVar[bool] = False
    MOST: ClassVar[int] = 36
    UNITS: ClassVar[Mapping[str, str]] = {"rmsd": "angstroms", "join": "angstroms"}
    SETS_OFF: ClassVar[str] = f"outlined {balls.OUTLINE}"
    REGIONS: ClassVar[Mapping[str, tuple[slice, ...]]] = {
        "start": (slice(0, 4),),
        "end": (slice(4, 8),),
        "middle": (slice(2, 6),),
    }

    @property
    def ending(self) -> str:
        """Of files; see Space."""
        return "pdb"

    def save(self, folder: Path, names: Sequence[str], examples: np.ndarray) -> None:
        """As .pdb, a chain of glycines that have C-alphas only."""
        for name, example in zip(names, examples, strict=True):
            places = example[example.any(axis=-1), :PLACES]
            pdb.write(folder / f"{name}.pdb", [pdb.trace(places)])

    def read(self, path: Path) -> list[parts.Rows]:
        """The chains of a PDB file by their letters, with the C-alphas that they have."""
        return [
            parts.Rows(chain.name.strip(), chain.numbers, chain.positions[:, 0].astype(np.float32))
            for chain in pdb.read(path)
        ]

    def fit(
        self, samples: np.ndarray, asked: np.ndarray, known: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Also join: by how much the distance of neighbours differs from a bond's where it is most.

        Of neighbours one of which was known; in angstroms, as rmsd is. See Space.
        """
        there = np.broadcast_to(known, (*samples.shape[:2], 1))[..., 0]
        meet = there[:, 1:] != there[:, :-1]
        off = np.where(meet, np.abs(chains.lengths(samples) - chains.BOND), 0)
        return {**super().fit(samples, asked, known), "join": off.max(axis=1)}

    def corner(self, count: int) -> tuple[int, int]:
        """That of so many examples across and down."""
        return pictures.picture_size(balls.SIDE, balls.SIDE, count, count)

    def show(
        self,
        path: Path,
        examples: np.ndarray,
        columns: int | None = None,
        captions: Sequence[str] = (),
        known: np.ndarray | None = None,
    ) -> None:
        """Each as a smooth tube, blue where it begins and red where it ends.

        Where a row is zeros, as of what is not known, there is none.
        """
        known = np.zeros(examples.shape[:2], bool) if known is None else known
        tubes = (_tube(one[:, :PLACES], known) for one, known in zip(examples, known, strict=True))
        pictures.save_grid(path, np.stack([balls.draw(one) for one in tubes]), columns, captions)


def _tube(places: np.ndarray, known: np.ndarray) -> balls.Balls:
    """Balls along a curve through places, which ends where rows are zeros.

    Args:
        places: [n, 3]; the colours go from the first to the last.
        known: which are outlined, bool [n].
    """
    there = np.flatnonzero(places.any(axis=-1))
    pieces = np.split(there, np.flatnonzero(np.diff(there) > 1) + 1) if len(there) else []
    centres = np.concatenate([np.zeros((0, 3)), *(_curve(places[piece]) for piece in pieces)])
    steps = [np.arange(_SMOOTH * piece[0], _SMOOTH * piece[-1] + 1) for piece in pieces]
    along = np.concatenate([np.zeros(0), *steps]) / _SMOOTH
    stops = np.linspace(0, len(places) - 1, len(_ENDS))
    colours = np.stack([np.interp(along, stops, c) for c in _ENDS.T], axis=1)
    outlined = known[np.round(along).astype(int)]
    return balls.Balls(centres, np.full(len(centres), _RADIUS), colours, outlined)


def _curve(places: np.ndarray) -> np.ndarray:
    """The curve of Catmull and Rom (1974) through places, [n, 3]; _SMOOTH points to the next."""
    padded = np.concatenate([places[:1], places, places[-1:]]).astype(np.float64)
    before, here, there, after = padded[:-3], padded[1:-2], padded[2:-1], padded[3:]
    share = (np.arange(_SMOOTH) / _SMOOTH)[:, None, None]
    curve = here + share / 2 * (
        there
        - before
        + share * (2 * before - 5 * here + 4 * there - after)
        + share**2 * (3 * (here - there) + after - before)
    )
    return np.concatenate([curve.swapaxes(0, 1).reshape(-1, 3), places[-1:]])
