"""Windows of 64 C-alphas from files of proteins that Debian and PyPI packages bring; no download.

    python -m score_sde.data prepare backbone64

The chains are those of Debian's `theseus-examples` and `python-biopython-doc`, where they are
installed; --from=PATH names a .pdb or .ent file instead, or a folder with any of them, also
compressed, also in sub-folders. Most of theirs are of two families, lactate dehydrogenases and
trypsins, so what a model of them learns is the local geometry of proteins, and no more is claimed.

Chains are cut where residues are missing. Every eighth window of 64 is an example, with the fields
points (angstroms, about their centre), fold (by its helix-like and strand-like shares, see
structures.chains) and family. Families in folders of their own are for training, all others for
testing: no held-out chain is the relative of one that was trained on, but for chance.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from score_sde.data import stored
from score_sde.data.base import DataError, Source
from score_sde.data.find_files import find_files
from score_sde.errors import UserError
from score_sde.fields import Field, label, points
from score_sde.formats import pdb
from score_sde.structures import chains

NAME = "backbone64"
NEEDS = "apt-get install theseus-examples python-biopython-doc, or --from=PATH, .pdb files"
LENGTH, STRIDE = 64, 8
FAMILIES = ("ldh", "trypsins", "cytochromes", "others")
FIELDS: tuple[Field, ...] = (
    points(LENGTH, 3),
    label(len(chains.FOLDS), chains.FOLDS, name="fold"),
    label(len(FAMILIES), FAMILIES, name="family"),
)

_HOMES = (
    Path("/usr/share/doc/theseus/examples"),
    Path("/usr/share/doc/python-biopython-doc/Tests/PDB"),
)
_SUFFIXES = (".pdb", ".ent", ".gz")
_GET = (
    "sudo apt-get install theseus-examples python-biopython-doc, or "
    "python -m score_sde.data prepare backbone64 --from=PATH, a .pdb file or a folder of them"
)


def prepare(folder: Path, source: Path | None = None, say: Callable[[str], None] = print) -> None:
    """Writes the windows. Does nothing if that is done already.

    Args:
        folder: that is made.
        source: a file of proteins, or a folder with some; None: those of the installed packages.
        say: is told, in lines, what is done.

    Raises:
        DataError: there are no such files, with the command that gets them.
        UserError: the folder cannot be written.
    """
    if stored.ready(folder, NAME):
        return
    homes = [home for home in _HOMES if home.is_dir()] if source is None else [source]
    if not homes:
        raise DataError(f"no files of proteins are installed: {_GET}")
    found = [piece for home in homes for piece in pieces(home, say)]
    windows, families = [], []
    for family, chain in found:
        for start in range(0, len(chain) - LENGTH + 1, STRIDE):
            window = chain[start : start + LENGTH]
            windows.append(window - window.mean(axis=0))
            families.append(FAMILIES.index(family))
    if len(windows) < 2:
        raise DataError(
            f"{homes[0]} has {len(windows)} windows of {LENGTH} C-alphas without a break: {_GET}"
        )
    x, family = np.stack(windows), np.array(families, np.int32)
    every = {"points": x.astype(np.float32), "fold": chains.fold(x), "family": family}
    known = family != FAMILIES.index("others")
    if known.all() or not known.any():  # no families, or nothing else: a tenth of the chains' end
        known = np.arange(len(x)) < len(x) - max(1, len(x) // 10)
    splits = {"train": known, "test": ~known}
    parts = {split: {n: a[rows] for n, a in every.items()} for split, rows in splits.items()}
    note = f"{len(found)} chains of at least {LENGTH} residues without a break"
    stored.write(folder, NAME, FIELDS, parts, note=note, license="coordinates: CC0 (wwPDB)")
    counts = ", ".join(f"{split} {int(rows.sum()):,}" for split, rows in splits.items())
    say(f"{note}; windows: {counts}")


def load(folder: Path, split: str) -> Source:
    """The windows that `prepare` wrote; see stored.load_prepared."""
    return stored.load_prepared(folder, NAME, split)


def pieces(home: Path, say: Callable[[str], None]) -> Iterator[tuple[str, np.ndarray]]:
    """Chains of at least LENGTH C-alphas without a break, [n, 3], each with its family.

    Args:
        home: a file; or a folder, whose files that are not of proteins are left out.
        say: is told how many those are, and how to see why.

    Raises:
        DataError: there is nothing of this name.
        UserError: the one file is none of a protein.
    """
    unread, alone = [], home.is_file()
    found = {Path(home.name): home} if alone else find_files(home, _SUFFIXES)
    for name, path in sorted(found.items()):
        if not alone and not name.name.lower().removesuffix(".gz").endswith((".pdb", ".ent")):
            continue
        family = next((part for part in name.parts if part in FAMILIES), FAMILIES[-1])
        try:
            read = pdb.read(path)
        except UserError:
            if alone:
                raise
            unread.append(path)
            continue
        for chain in read:
            for piece in chains.pieces(chain.positions[:, 0]):
                if len(piece) >= LENGTH:
                    yield family, piece
    if unread:
        say(f"left out, without C-alphas or not to be read: {len(unread)}, the first: {unread[0]}")
        say(f"--from={shlex.quote(str(unread[0]))} says what is wrong with it")
