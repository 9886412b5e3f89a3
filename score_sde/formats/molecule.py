"""What files of molecules hold: symbols of elements, positions, and bonds where they are known."""

from __future__ import annotations

import dataclasses
import re

import numpy as np

_SYMBOL = re.compile(r"[A-Z][a-z]?", re.ASCII)


@dataclasses.dataclass(frozen=True)
class Molecule:
    """Atoms at places.

    Attributes:
        symbols: of the elements, such as "C".
        positions: in angstroms, float64 [n, 3].
        bonds: pairs of numbers of atoms, from 0, and the order of each bond, int [bonds, 3].
        title: one line about it.

    Raises:
        ValueError: the parts do not fit together.
    """

    symbols: tuple[str, ...]
    positions: np.ndarray
    bonds: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros((0, 3), np.int64))
    title: str = ""

    def __post_init__(self) -> None:
        n = len(self.symbols)
        if self.positions.shape != (n, 3) or self.bonds.shape[1:] != (3,):
            raise ValueError(
                f"{n} atoms have positions [{n}, 3] and bonds [any, 3], not "
                f"{self.positions.shape} and {self.bonds.shape}"
            )
        for symbol in self.symbols:
            if not _SYMBOL.fullmatch(symbol):
                raise ValueError(f"{symbol[:20]!r} is no symbol of an element")
        if len(self.bonds) and not (0 <= self.bonds[:, :2].min() <= self.bonds[:, :2].max() < n):
            raise ValueError("a bond is of an atom that there is not")
        if "\n" in self.title or "\r" in self.title:
            raise ValueError("a title is one line")
