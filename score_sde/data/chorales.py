"""Four-part chorales as tokens: Bach's, from the package music21, which is not imported.

Every eighth note of the four voices, from the soprano down, is a token: a pitch or a rest. An
example is 32 eighths, 128 tokens. One chorale in ten is held out.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from score_sde.data import arrays, musicxml
from score_sde.data.base import DataError, Source
from score_sde.fields import Field, tokens
from score_sde.files import expanded, regular
from score_sde.formats import archive

NEEDS = "pip install music21, or --data_dir=music21-*.whl, or a folder of MusicXML"
VOICES, STEPS = 4, 32  # of an example; a step is an eighth
LOWEST, HIGHEST = 36, 81  # C2 and A5
REST = 0  # the token; those of pitches follow, from the lowest
_LETTERS = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
NAMES = ("- ", *(f"{_LETTERS[n % 12]}{n // 12 - 1} " for n in range(LOWEST, HIGHEST + 1)))

_EVERY = 2  # steps between the examples that are trained on: a quarter
_HELD_OUT = 10
_FOLDER = "corpus/bach/"
_HINT = (
    "pip install music21, or pip download --no-deps music21 (20 MB) and give its file, "
    "--config.data.dir=music21-VERSION.whl, or as --data_dir to python -m score_sde.data"
)


def field() -> Field:
    """The tokens of an example: step by step, in each of them the soprano first."""
    return tokens(STEPS * VOICES, len(NAMES), NAMES)


def load(path: str | os.PathLike | None = None, split: str = "train") -> Source:
    """Opens the chorales of four parts in a folder, or in the package music21.

    Args:
      path: a folder of .mxl and .xml files, or the .whl file of music21; None for music21 as it is
        installed.
      split: "train", of examples that begin with every quarter; or "test", of those that follow
        each other, of other chorales.

    Returns:
      The source, of 128 tokens, "tokens".

    Raises:
      DataError: there are none, or a file cannot be read; SplitError if no such split.
    """
    place = _installed() if path is None else expanded(path)
    found = _chorales(place)
    if len(found) < 2:
        raise DataError(f"{path or 'music21'} has fewer than two chorales of four parts: {_HINT}")
    order = np.random.default_rng(0).permutation(len(found))
    held_out = {int(n) for n in order[: max(1, len(found) // _HELD_OUT)]}
    parts: dict[str, list[np.ndarray]] = {"train": [], "test": []}
    for number, steps in enumerate(found.values()):
        name, every = ("test", STEPS) if number in held_out else ("train", _EVERY)
        starts = range(0, len(steps) - STEPS + 1, every)
        parts[name] += [steps[start : start + STEPS].reshape(-1) for start in starts]
    if not all(parts.values()):
        raise DataError(f"{path} has no chorales of {STEPS} eighths in each split: {_HINT}")
    by_split = {name: {"tokens": np.stack(rows)} for name, rows in parts.items()}
    about = {"name": "chorales", "place": str(place)}
    return arrays.source(by_split, split=split, fields=(field(),), **about)


@functools.lru_cache(maxsize=1)  # both splits are of one reading, of ten seconds
def _chorales(where: Path) -> dict[str, np.ndarray]:
    """Each by its name, in their order: int32 [steps, voices]."""
    found = {}
    for name, content in _files(where):
        voices = musicxml.parts(content, name)
        if len(voices) == VOICES and (steps := on_grid(voices)) is not None:
            found[name] = steps
    return found


def on_grid(voices: list[list[musicxml.Note]]) -> np.ndarray | None:
    """The token that sounds at each step, int32 [steps, voices]; None if a pitch is none of ours.

    Args:
        voices: the notes of each.
    """
    length = max((note.start + note.length for voice in voices for note in voice), default=0)
    steps = np.full((min(int(2 * length), 2**16), VOICES), REST, np.int32)
    for number, voice in enumerate(voices):
        for pitch, start, length in voice:
            if pitch >= 0 and not LOWEST <= pitch <= HIGHEST:
                return None
            first, last = (max(0, -int(-2 * at // 1)) for at in (start, start + length))
            steps[first:last, number] = REST if pitch < 0 else 1 + pitch - LOWEST
    return steps


def _files(where: Path) -> Iterator[tuple[str, bytes]]:
    """Names and contents of scores."""
    try:
        if where.is_dir():
            for file in sorted((*where.rglob("*.mxl"), *where.rglob("*.xml"))):
                with regular(file) as opened:
                    yield file.name, opened.read(musicxml.MOST + 1)
            return
        with regular(where) as opened, zipfile.ZipFile(opened) as wheel:
            for name in sorted(wheel.namelist()):
                if _FOLDER in name and name.endswith((".mxl", ".xml")):
                    yield name, archive.member(wheel, name, musicxml.MOST)
    except (ValueError, *archive.DAMAGED) as error:
        raise DataError(f"cannot read {where}: {error!s:.80}. To have chorales, {_HINT}") from error


def _installed() -> Path:
    found = importlib.util.find_spec("music21")  # of its place: nothing of it is executed
    if found is None or found.origin is None:
        raise DataError(f"there are no chorales: {_HINT}")
    return Path(found.origin).parent / _FOLDER
