"""Files of the Protein Data Bank, .pdb and .ent: chains of residues with some of their atoms.

The columns of the records ATOM, HETATM, TER, MODEL and END are those of the format's version 3.3
(wwPDB, "Atomic Coordinate Entry Format Description", 2012). Coordinates are in angstroms, and have
three digits after the point.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from score_sde.errors import UserError
from score_sde.files import replacing
from score_sde.formats import text

TRACE = ("CA",)
BACKBONE = ("N", "CA", "C", "O")

_WHAT = "a PDB file, with columns as the Protein Data Bank has them"
_MODIFIED = frozenset({"MSE"})  # a residue of the chain that files call a heteroatom: Se for S
_LARGEST = 9999.999  # that the columns of a coordinate hold, and its negative tenth
_NUMBERS = (-999, 9999)  # of residues, that their columns hold


@dataclasses.dataclass(frozen=True)
class Chain:
    """Residues in the order of a file.

    Attributes:
        name: the letter of the chain, " " if it has none.
        residues: the name of each, such as "ALA".
        numbers: of each, as the file counts, [n].
        positions: in angstroms, float64 [n, atoms, 3], NaN where a residue lacks an atom.
    """

    name: str
    residues: tuple[str, ...]
    numbers: np.ndarray
    positions: np.ndarray

    def __len__(self) -> int:
        return len(self.residues)


def read(path: str | Path, atoms: Sequence[str] = TRACE) -> list[Chain]:
    """The chains of the first model of a file.

    Of alternative places of an atom the first is taken. Residues without any of the atoms are left
    out, so water, ions and ligands are, as is a nucleic acid.

    Args:
        path: the file, also compressed by gzip.
        atoms: the names of those that are wanted: TRACE or BACKBONE, for example.

    Returns:
        At least one chain; one whose letter comes again is another.

    Raises:
        UserError: it cannot be read, a column of an atom is no number, or no residue has the atoms.
    """
    slots = {name: i for i, name in enumerate(atoms)}
    found: list[tuple[str, dict[str, tuple[str, np.ndarray]]]] = []
    ended = True
    for line in _first_model(text.lines(path, _WHAT)):
        if line.startswith("TER"):
            ended = True
        if not _is_of_chain(line) or (slot := slots.get(line[12:16].strip())) is None:
            continue
        chain, number = line[21:22], line[22:27]
        if ended or found[-1][0] != chain:
            found.append((chain, {}))
            ended = False
        fresh = line[17:20].strip(), np.full((len(atoms), 3), np.nan)
        _, places = found[-1][1].setdefault(number, fresh)
        if np.isnan(places[slot]).all():
            places[slot] = _place(line, path)
    if not found:
        raise UserError(f"{path} has no residue with atoms {', '.join(atoms)}: give {_WHAT}")
    return [_chain(name, residues, path) for name, residues in found]


def write(path: Path, chains: Sequence[Chain], atoms: Sequence[str] = TRACE) -> None:
    """Write chains as one model, whole or not at all; its folder is made.

    Args:
        path: of the file.
        chains: positions of an atom that are NaN are left out.
        atoms: their names, in the order of the second axis of `positions`.

    Raises:
        ValueError: a coordinate or a number does not fit into its columns.
    """
    lines, serial = [], 0
    for chain in chains:
        for residue, number, places in zip(
            chain.residues, chain.numbers, chain.positions, strict=True
        ):
            for atom, place in zip(atoms, places, strict=True):
                if np.isnan(place).any():
                    continue
                serial += 1
                lines.append(_atom(serial, atom, residue, chain.name, int(number), place))
        serial += 1
        end = f"{chain.residues[-1]:>3} {chain.name:1}{int(chain.numbers[-1]):4d}"
        lines.append(f"TER   {serial:5d}      {end}")
    with replacing(path) as file:
        file.write(("\n".join([*lines, "END"]) + "\n").encode())


def trace(positions: np.ndarray, residue: str = "GLY", name: str = "A") -> Chain:
    """The chain of C-alphas alone, float [n, 3], in angstroms, numbered from 1."""
    n = len(positions)
    places = np.asarray(positions, np.float64)[:, None]
    return Chain(name, (residue,) * n, np.arange(1, n + 1), places)


def _first_model(lines: list[str]) -> Iterator[str]:
    for line in lines:
        if line.startswith("ENDMDL"):
            return
        yield line


def _is_of_chain(line: str) -> bool:
    return line.startswith("ATOM  ") or (
        line.startswith("HETATM") and line[17:20].strip() in _MODIFIED
    )


def _place(line: str, path: str | Path) -> list[float]:
    try:
        return [text.number(line[i : i + 8]) for i in (30, 38, 46)]
    except ValueError as error:
        raise UserError(f"{path}: in the atom {line[:27]!r} {error}: give {_WHAT}") from error


def _chain(name: str, residues: dict[str, tuple[str, np.ndarray]], path: str | Path) -> Chain:
    try:
        numbers = [text.whole(number[:4]) for number in residues]
    except ValueError as error:
        raise UserError(f"{path}: the number of a residue: {error}: give {_WHAT}") from error
    names, places = zip(*residues.values(), strict=True)
    return Chain(name, names, np.array(numbers), np.stack(places))


def _atom(serial: int, atom: str, residue: str, chain: str, number: int, place: np.ndarray) -> str:
    """A record ATOM; the element, the first letter, stands in columns 14 and 78."""
    if not (place.min() > -_LARGEST / 10 and place.max() < _LARGEST):
        raise ValueError(f"a PDB file holds coordinates from -999.999 to 9999.999, not {place}")
    if not _NUMBERS[0] <= number <= _NUMBERS[1]:
        raise ValueError(f"a PDB file numbers residues from -999 to 9999, not {number}")
    x, y, z = place
    return (
        f"ATOM  {serial:5d}  {atom:<3} {residue:>3} {chain:1}{number:4d}    "
        f"{x:8.3f}{y:8.3f}{z:8.3f}{1:6.2f}{0:6.2f}          {atom[0]:>2}  "
    )
