"""Files .sdf and .mol, of version V2000: atoms, bonds and their orders in fixed columns.

The format is described in "CTfile Formats" (BIOVIA 2020), chapter 3. Bonds of order 4, aromatic in
files of queries, are read as they stand.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from score_sde.errors import UserError
from score_sde.files import replacing
from score_sde.formats import text
from score_sde.formats.molecule import Molecule

_WHAT = "an .sdf file of version V2000"
_MOST = 999  # atoms, and bonds, that three columns count
_END = "M  END"
_BETWEEN = "$$$$"


def read(path: str | Path) -> list[Molecule]:
    """The molecules of a file; charges, properties and data are not read.

    Raises:
        UserError: it cannot be read, or is not such a file.
    """
    lines, found, at = text.lines(path, _WHAT), [], 0
    while any(line.strip() for line in lines[at:]):
        try:
            molecule, at = _molecule(lines, at)
        except ValueError as error:
            raise UserError(f"{path}: {error}: give {_WHAT}") from error
        found.append(molecule)
    if not found:
        raise UserError(f"{path} has no molecule: give {_WHAT}")
    return found


def write(path: Path, molecules: Sequence[Molecule]) -> None:
    """Write molecules, whole or not at all; the folder is made.

    Raises:
        ValueError: there are more atoms or bonds than columns count, or a coordinate is too large.
    """
    lines: list[str] = []
    for molecule in molecules:
        lines += _lines(molecule)
    with replacing(path) as file:
        file.write(("\n".join(lines) + "\n").encode())


def _lines(molecule: Molecule) -> list[str]:
    atoms, bonds = len(molecule.symbols), len(molecule.bonds)
    if max(atoms, bonds) > _MOST:
        raise ValueError(f"an .sdf file counts to {_MOST}, not to {atoms} atoms and {bonds} bonds")
    if np.abs(molecule.positions).max(initial=0) >= 9999:
        raise ValueError("an .sdf file holds coordinates below 9999")
    header = [molecule.title, "  score_sde         3D", ""]
    counts = f"{atoms:3d}{bonds:3d}  0  0  0  0  0  0  0  0999 V2000"
    lines = [*header, counts]
    for symbol, (x, y, z) in zip(molecule.symbols, molecule.positions, strict=True):
        lines.append(f"{x:10.4f}{y:10.4f}{z:10.4f} {symbol:<3} 0" + "  0" * 11)
    for first, second, order in molecule.bonds:
        lines.append(f"{first + 1:3d}{second + 1:3d}{order:3d}  0")
    return [*lines, _END, _BETWEEN]


def _molecule(lines: list[str], at: int) -> tuple[Molecule, int]:
    """The molecule whose header begins at a line, and the line after it."""
    counts = lines[at + 3] if len(lines) > at + 3 else ""
    if not counts.rstrip().endswith("V2000"):
        raise ValueError(f"line {at + 4} does not end in V2000")
    atoms, bonds = text.whole(counts[:3]), text.whole(counts[3:6])
    first, end = at + 4, at + 4 + atoms + bonds
    if min(atoms, bonds) < 0 or end > len(lines):
        raise ValueError(f"line {at + 4} counts {atoms} atoms and {bonds} bonds")
    rows = lines[first : first + atoms]
    symbols = tuple(row[31:34].strip() for row in rows)
    places = [[text.number(row[i : i + 10]) for i in (0, 10, 20)] for row in rows]
    pairs = [[text.whole(row[i : i + 3]) for i in (0, 3, 6)] for row in lines[first + atoms : end]]
    joined = np.array(pairs, np.int64).reshape(-1, 3) - (1, 1, 0)
    molecule = Molecule(symbols, np.array(places).reshape(-1, 3), joined, lines[at].strip())
    while end < len(lines) and lines[end].strip() != _BETWEEN:
        end += 1
    return molecule, end + 1
