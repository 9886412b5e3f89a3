"""Files .xyz: the number of atoms, a title, and a symbol with three coordinates a line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from score_sde.errors import UserError
from score_sde.files import replacing
from score_sde.formats import text
from score_sde.formats.molecule import Molecule

_WHAT = "an .xyz file: the number of atoms, a title, then SYMBOL X Y Z a line"


def read(path: str | Path) -> list[Molecule]:
    """The molecules of a file, one after another; further columns are not read.

    Raises:
        UserError: it cannot be read, or is not such a file.
    """
    lines, found, at = text.lines(path, _WHAT), [], 0
    while at < len(lines) and lines[at].strip():
        try:
            n = text.whole(lines[at])
            if not 0 < n <= len(lines) - at - 2:
                raise ValueError(f"line {at + 1} says {n} atoms")
            found.append(_molecule(lines[at + 1].strip(), lines[at + 2 : at + 2 + n]))
        except ValueError as error:
            raise UserError(f"{path}: {error}: give {_WHAT}") from error
        at += 2 + n
    if not found:
        raise UserError(f"{path} has no atoms: give {_WHAT}")
    return found


def write(path: Path, molecules: Sequence[Molecule]) -> None:
    """Write molecules, whole or not at all; the folder is made."""
    lines = []
    for molecule in molecules:
        lines += [str(len(molecule.symbols)), molecule.title]
        for symbol, (x, y, z) in zip(molecule.symbols, molecule.positions, strict=True):
            lines.append(f"{symbol:<2} {x:14.8f} {y:14.8f} {z:14.8f}")
    with replacing(path) as file:
        file.write(("\n".join(lines) + "\n").encode())


def _molecule(title: str, lines: list[str]) -> Molecule:
    symbols, positions = [], []
    for line in lines:
        parts = line.split()
        if len(parts) < 4:
            raise ValueError(f"{line[:40]!r} is no atom")
        symbols.append(parts[0])
        positions.append([text.number(part) for part in parts[1:4]])
    return Molecule(tuple(symbols), np.array(positions), title=title)
