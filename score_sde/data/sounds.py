"""A folder of WAV files, cut into pieces of a length, each with a text.

    python -m score_sde.data prepare sounds --sounds=FOLDER --rate=16000 --seconds=1 --data_dir=NEW

Files may have any rate and number of channels: the mean of these is resampled
(score_sde/sound/resample.py), or each of them, with --channels=2 for example. The last piece of a
file ends in silence, and pieces that are silent are left out. The text is that of a file .txt
beside the sound, of the same name, or else the name, with spaces for _ and -. One file in ten is
held out, with all of its pieces, by a hash of its path in the folder; of a few, none may be.

An example has the fields signal, text, `start`, where in its file it begins, and `seconds`, how
long that is. The set is read as "encoded", as texts are.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from score_sde import files
from score_sde.data import encoded, stored
from score_sde.data.base import DataError
from score_sde.data.find_files import find_files
from score_sde.data.hashed import uniform
from score_sde.errors import UserError, first_line
from score_sde.fields import Field, encode_texts, number, signal, text
from score_sde.sound import wav
from score_sde.sound.resample import resample

NAME = "sounds"
NEEDS = "--sounds=FOLDER, .wav files"
OPTIONS = frozenset({"sounds", "rate", "seconds", "channels"})
RATE, SECONDS = 16_000, 1.0
_RATES = (1000, 768_000)  # of files
_MOST = 2**28  # samples in all, 1 GB; 4.7 hours of 16 kHz
_MOST_BYTES = 128  # of a text; the rest is left out
_MOST_FILE = 2**20  # bytes of a file .txt
_LEAST = 1e-3  # of the largest sample: below, it is silence
_HELD_OUT = 0.1


class Piece(NamedTuple):
    """A piece of a file.

    Attributes:
        signal: float32 [samples], or [samples, channels].
        text: of the file.
        start: seconds of the file before it.
        seconds: of the file.
        held_out: whether the file is.
    """

    signal: np.ndarray
    text: str
    start: float
    seconds: float
    held_out: bool


def prepare(
    folder: str | os.PathLike,
    sounds: str | os.PathLike | None = None,
    rate: int = RATE,
    seconds: float = SECONDS,
    channels: int = 0,
    say: Callable[[str], None] = print,
) -> str:
    """Write a set of sounds, to be read as the set "encoded" at this folder.

    Args:
      folder: that is made.
      sounds: a folder whose files *.wav, in folders within it too, are read.
      rate: samples a second of the set.
      seconds: of an example.
      channels: of the set, which files have too, or one that is taken for all; 0: signals have no
        axis of channels.
      say: is told, in lines, what is left out.

    Returns:
      The folder.

    Raises:
      DataError: there are no such files, or one cannot be read.
      UserError: the folder cannot be written.
    """
    folder = encoded.new(folder, NAME, sounds, "wav")
    made = splits(files.expanded(sounds), rate, seconds, say, channels)
    note = f"sounds of {Path(sounds).name}"
    stored.write(folder, encoded.NAME, fields(rate, seconds, channels), made, note=note)
    return str(folder)


def fields(
    rate: int, seconds: float, channels: int = 0, vocabulary: tuple[str, ...] = ()
) -> tuple[Field, ...]:
    """What an example has; see prepare, and Field for the vocabulary."""
    own = (
        signal(round(rate * seconds), rate, channels),
        text(_MOST_BYTES, vocabulary=vocabulary),
    )
    return (*own, number("start"), number("seconds"))


def splits(
    folder: Path, rate: int, seconds: float, say: Callable[[str], None], channels: int = 0
) -> dict[str, dict[str, np.ndarray]]:
    """The arrays of the splits of a set; see prepare.

    Raises:
      DataError: there are too few files, or one cannot be read.
    """
    length = round(rate * seconds)
    if length < 1:
        raise DataError(f"pieces of {seconds:g} s have no sample of {rate} a second")
    every = list(_pieces(folder, rate, length, channels))
    heard = [piece for piece in every if np.abs(piece.signal).max() >= _LEAST]
    if silent := len(every) - len(heard):
        say(f"left out, silent: {silent} of {len(every):,} pieces")
    found = {}
    for split, held_out in (("train", False), ("test", True)):
        part = [piece for piece in heard if piece.held_out == held_out]
        if not part and split == "train":
            raise DataError(f"{folder} has too few sounds that can be heard")
        if not part:  # of few files none may be held out
            continue
        found[split] = {
            "signal": np.stack([piece.signal for piece in part]),
            "text": encode_texts([piece.text for piece in part], _MOST_BYTES),
            "start": np.array([piece.start for piece in part], np.float32),
            "seconds": np.array([piece.seconds for piece in part], np.float32),
        }
    say(", ".join(f"{split} {len(arrays['text']):,}" for split, arrays in found.items()))
    return found


def _pieces(folder: Path, rate: int, length: int, channels: int) -> Iterator[Piece]:
    """The pieces of all files, silent ones too."""
    paths = find_files(folder, (".wav",)) if folder.is_dir() else {}
    if not paths:
        raise DataError(f"{folder} is no folder with files *.wav")
    left = _MOST
    for relative in paths:
        sound = _read(folder / relative, rate, channels)
        words = _words(folder / relative)
        held_out = uniform(f"{NAME} {relative.as_posix()}") < _HELD_OUT
        count = -(-len(sound) // length)
        left -= count * length * max(1, channels)
        if left < 0:
            raise DataError(f"the sounds in {folder} have more than {_MOST:,} samples together")
        after = [(0, count * length - len(sound)), *[(0, 0)] * (sound.ndim - 1)]
        rows = np.pad(sound, after).reshape(count, length, *sound.shape[1:])
        for i, row in enumerate(rows):
            yield Piece(row, words, i * length / rate, len(sound) / rate, held_out)


def _read(path: Path, rate: int, channels: int) -> np.ndarray:
    """The sound of a file at a rate: the mean of its channels if none are asked for, or each."""
    try:
        sound, its = wav.read(path, _MOST)
    except UserError as error:
        raise DataError(f"{error}: take it out of the folder") from error
    if not _RATES[0] <= its <= _RATES[1]:
        raise DataError(f"cannot read {path} ({its} samples a second): take it out of the folder")
    if not channels:
        return np.clip(resample(sound.mean(axis=1), its, rate), -1, 1)
    if sound.shape[1] not in (1, channels):
        raise DataError(
            f"{path} has {sound.shape[1]} channels, not {channels}: take it out of the folder"
        )
    each = [np.clip(resample(one, its, rate), -1, 1) for one in sound.T]
    return np.stack(each * (channels // len(each)), axis=1)


def _words(path: Path) -> str:
    """What a sound is of."""
    beside = path.with_suffix(".txt")
    try:
        if beside.exists():
            with files.regular(beside) as file:
                found = file.read(_MOST_FILE).decode()
        else:
            found = path.stem.replace("_", " ").replace("-", " ")
        words = " ".join(found.replace("\0", " ").split()).encode()
    except UnicodeEncodeError as error:
        raise DataError(f"the name of {path} is no text in UTF-8: give it another") from error
    except (OSError, UnicodeError) as error:
        raise DataError(f"{beside} cannot be read as a text: {first_line(error)}") from error
    return words[:_MOST_BYTES].decode(errors="ignore")
