"""QM9: 130,831 small organic molecules with their geometries and properties; no download.

    python -m score_sde.data prepare qm9

The data (Ramakrishnan et al. 2014, those that are consistent) lie as CSV files in the package
`qm9pack`, which is looked for and never imported; --from=PATH names its wheel or folder instead.

An example has the fields molecule (place in angstroms and atomic number of each atom), atoms (how
many there are) and twelve properties. The splits are those of Anderson et al. 2019 (arXiv
1906.04015), which EDM and others after it use: 100,000 for training, a tenth for testing, the rest
for validation, by NumPy's permutation of seed 0.
"""

from __future__ import annotations

import contextlib
import csv
import importlib.util
import io
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np

from score_sde.data import stored
from score_sde.data.base import DataError, Source
from score_sde.errors import UserError, first_line
from score_sde.fields import Field, molecule, number
from score_sde.files import regular
from score_sde.formats import archive, text
from score_sde.structures.bonds import NUMBERS

NAME = "qm9"
NEEDS = "pip install qm9pack, or --from=qm9pack-*.whl"
MOST = 29  # atoms of the largest molecule
# Fields by the columns of the files: Debye, Bohr^3, Hartree, Bohr^2 and cal / mol K.
PROPERTIES = {
    "dipole": "Dipole_debye",
    "polarizability": "Polarizability_bohr3",
    "homo": "HOMO_au",
    "lumo": "LUMO_au",
    "gap": "HOMO_LUMO_gap_au",
    "extent": "R2_bohr2",
    "zero_point": "ZPVE_au",
    "energy_0": "InternalEnergy_0K_au",
    "energy": "InternalEnergy_298K_au",
    "enthalpy": "Enthalphy_298K_au",
    "free_energy": "GibbsFreeEnergy_298K_au",
    "heat_capacity": "Heatcapacity_Cv_cal_mol_K",
}
FIELDS: tuple[Field, ...] = (molecule(MOST), number("atoms"), *map(number, PROPERTIES))

_PACKAGE = "qm9pack"
_GET = (
    "pip install qm9pack, or pip download --no-deps qm9pack and "
    "python -m score_sde.data prepare qm9 --from=qm9pack-1.0.3-py3-none-any.whl"
)
_PART = re.compile(r"qm9_part\d+\.csv")
_MOST_BYTES = 2**28  # of a part; the largest has 79 MB
_ELEMENTS, _PLACES = "Elements", "XYZ_Ang"
_LIST = re.compile(r"[-+0-9.,eE \[\]]*")
_TRAIN, _TEST = 100_000 / 130_831, 0.1


class Row(NamedTuple):
    """A molecule.

    Attributes:
        numbers: atomic numbers, [n].
        positions: angstroms, [n, 3].
        properties: in the order of PROPERTIES.
    """

    numbers: list[int]
    positions: np.ndarray
    properties: list[float]


def prepare(folder: Path, source: Path | None = None, say: Callable[[str], None] = print) -> None:
    """Writes the set. Does nothing if that is done already.

    Args:
        folder: that is made.
        source: the wheel of the package, or a folder with its CSV files; None: the installed one.
        say: is told, in lines, what is done.

    Raises:
        DataError: there is no such package, with the command that gets it, or it is damaged.
        UserError: the folder cannot be written.
    """
    if stored.ready(folder, NAME):
        return
    rows = list(read(source))
    order = np.random.RandomState(0).permutation(len(rows))
    train, test = round(_TRAIN * len(rows)), int(_TEST * len(rows))
    valid = len(rows) - train - test
    if min(train, test, valid) < 1:
        raise DataError(f"{len(rows)} molecules cannot be split: {_GET}")
    splits = {
        "train": order[:train],
        "validation": order[train : train + valid],
        "test": order[train + valid :],
    }
    every = _arrays(rows)
    parts = {split: {n: a[kept] for n, a in every.items()} for split, kept in splits.items()}
    stored.write(folder, NAME, FIELDS, parts, note="QM9 from qm9pack", license="MIT (qm9pack)")
    say(", ".join(f"{split} {len(kept):,}" for split, kept in splits.items()))


def load(folder: Path, split: str) -> Source:
    """The molecules that `prepare` wrote; see stored.load_prepared."""
    return stored.load_prepared(folder, NAME, split)


def read(source: Path | None) -> Iterator[Row]:
    """The molecules of the package, in its order.

    Args:
        source: as of `prepare`.

    Raises:
        DataError: as `prepare`.
    """
    with _opened(source) as parts:
        for name, file in parts:
            rows = csv.DictReader(file)
            try:
                for row in rows:
                    yield _row(row)
            except (KeyError, ValueError, AttributeError, csv.Error) as error:
                raise DataError(
                    f"{name} is damaged near line {rows.line_num} "
                    f"({first_line(error)[:200]}): get it again by {_GET}"
                ) from error


def _row(row: dict[str, str]) -> Row:
    symbols = [s.strip().strip("'") for s in row[_ELEMENTS].strip().strip("[]").split(",")]
    if not 0 < len(symbols) <= MOST or any(s not in NUMBERS for s in symbols):
        raise ValueError(f"it has the elements {symbols}")
    # A list of Mathematica's: its numbers may be 1. or 3.2*^-6.
    written = row[_PLACES].replace("*^", "e")
    if not _LIST.fullmatch(written):
        raise ValueError(f"{_PLACES} is no list of numbers")
    places = [float(value) for value in written.replace("[", " ").replace("]", " ").split(",")]
    positions = np.array(places).reshape(len(symbols), 3)
    if not np.abs(positions).max() < 100:
        raise ValueError("atoms lie far from each other")
    properties = [text.number(row[name].replace("*^", "e")) for name in PROPERTIES.values()]
    return Row([NUMBERS[s] for s in symbols], positions, properties)


def _arrays(rows: list[Row]) -> dict[str, np.ndarray]:
    """An array a field, in float32; places are about the centre of each."""
    molecules = np.zeros((len(rows), MOST, 4), np.float32)
    for example, row in zip(molecules, rows, strict=True):
        n = len(row.numbers)
        example[:n, :3], example[:n, 3] = row.positions - row.positions.mean(0), row.numbers
    properties = np.array([row.properties for row in rows], np.float32)
    found = dict(zip(PROPERTIES, properties.T, strict=True))
    atoms = np.array([len(row.numbers) for row in rows], np.float32)
    return {"molecule": molecules, "atoms": atoms, **found}


@contextlib.contextmanager
def _opened(source: Path | None) -> Iterator[Iterator[tuple[str, IO[str]]]]:
    """The parts, by name, each open while it is its turn."""
    source = _installed() if source is None else source
    try:
        if source.is_dir():
            found = {p.name: p for p in (*source.glob("*.csv"), *source.glob("data/*.csv"))}
            yield _parts({name: lambda p=path: regular(p) for name, path in found.items()}, source)
            return
        with regular(source) as file, zipfile.ZipFile(file) as wheel:
            members = {Path(info.filename).name: info for info in wheel.infolist()}
            for name, info in members.items():
                if _PART.fullmatch(name) and info.file_size > _MOST_BYTES:
                    raise DataError(f"{name} of {source} is larger than {_MOST_BYTES:,} bytes")
            yield _parts(
                {name: lambda i=info: wheel.open(i) for name, info in members.items()}, source
            )
    except UserError:
        raise
    except archive.DAMAGED as error:
        reason = getattr(error, "strerror", None) or first_line(error)
        raise DataError(f"cannot read {source} ({reason}): {_GET}") from error


def _parts(
    members: dict[str, Callable[[], IO[bytes]]], source: Path
) -> Iterator[tuple[str, IO[str]]]:
    names = sorted(name for name in members if _PART.fullmatch(name))
    if not names:
        raise DataError(f"{source} has no qm9_part1.csv: {_GET}")
    for name in names:
        with members[name]() as file, io.TextIOWrapper(file, "utf-8", "replace") as lines:
            yield name, lines


def _installed() -> Path:
    """The folder of the package."""
    spec = importlib.util.find_spec(_PACKAGE)  # which imports nothing of it
    if spec is None or not spec.submodule_search_locations:
        raise DataError(f"{_PACKAGE} is not installed: {_GET}")
    return Path(spec.submodule_search_locations[0])
