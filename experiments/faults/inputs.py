"""Small inputs of data sets that are made of files: what `score_sde.data prepare` reads."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from score_sde.data import qm9
from score_sde.formats import pdb
from score_sde.sound import wav


def molecules(folder: Path) -> tuple[str, ...]:
    """A wheel of 2,000 waters, each with another energy."""
    row = "\"['O','H','H']\",\"[[0.,0.,0.],[0.757,0.587,0.],[-0.757,0.587,0.]]\""
    lines = [",".join(["Elements", "XYZ_Ang", *qm9.PROPERTIES.values()])]
    lines += [row + f",{number}." * len(qm9.PROPERTIES) for number in range(2000)]
    with zipfile.ZipFile(folder / "qm9pack.whl", "w") as archive:
        archive.writestr("qm9pack/data/qm9_part1.csv", "\n".join(lines))
    return "qm9", f"--from={folder / 'qm9pack.whl'}"


def backbones(folder: Path) -> tuple[str, ...]:
    """Twenty helices."""
    angle = np.deg2rad(100) * np.arange(200)
    helix = np.stack([2.3 * np.cos(angle), 2.3 * np.sin(angle), 1.5 * np.arange(200)], axis=1)
    for number in range(20):
        pdb.write(folder / "proteins" / f"{number}.pdb", [pdb.trace(helix)])
    return "backbone64", f"--from={folder / 'proteins'}"


def sounds(folder: Path) -> tuple[str, ...]:
    """Twenty files of noise."""
    rng = np.random.default_rng(0)
    for number in range(20):
        wav.write(folder / "sounds" / f"hum {number}.wav", rng.uniform(-1, 1, 20_000), 8000)
    return "sounds", f"--sounds={folder / 'sounds'}", "--rate=8000", "--seconds=1"


def texts(folder: Path) -> tuple[str, ...]:
    """Twenty files of words."""
    rng = np.random.default_rng(0)
    (folder / "texts").mkdir()
    for number in range(20):
        letters = "".join(rng.choice(list("abc  \n"), 5000))
        (folder / "texts" / f"{number}.txt").write_text(letters)
    return "texts", f"--texts={folder / 'texts'}"


# Each writes its files into a folder, and says the words of a command after `prepare`.
INPUTS: dict[str, Callable[[Path], tuple[str, ...]]] = {
    "molecules": molecules,
    "backbones": backbones,
    "sounds": sounds,
    "texts": texts,
}
