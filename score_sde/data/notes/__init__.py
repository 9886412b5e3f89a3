"""Single notes of 128 instruments, rendered from a sound font on this machine; no download.

    python -m score_sde.data prepare notes --from=TimGM6mb.sf2

Each of General MIDI's 128 instruments plays the 36 pitches from C3 to B5, one second of 16 kHz
each. An example has the fields signal, text ("violin, A4"), family (of 16) and pitch (MIDI's
number, 69 for A4). Notes that the font leaves silent are left out. One note in ten is held out, by
a hash of its text: of a held-out note the instrument and the pitch are known, not together.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from score_sde.data import stored
from score_sde.data.base import DataError, Source
from score_sde.data.hashed import uniform
from score_sde.data.notes import instruments, render
from score_sde.data.notes.instruments import FAMILIES, INSTRUMENTS, PITCHES
from score_sde.fields import encode_texts, label, number, signal, text, words_of

__all__ = ["NAME", "load", "prepare"]

NAME = "notes"
NEEDS = "apt-get install fluidsynth timgm6mb-soundfont, and --from=FILE.sf2"
_MADE_FROM = "--from=FILE.sf2"
_HELD_OUT = 0.1
_TEXTS = [instruments.text(p, n) for p in range(len(INSTRUMENTS)) for n in PITCHES]
_TEXT = max(map(len, _TEXTS))
FIELDS = (
    signal(render.SAMPLES, render.RATE),
    text(_TEXT, vocabulary=words_of(_TEXTS)),
    label(len(FAMILIES), FAMILIES, name="family"),
    number("pitch"),
)


def prepare(folder: Path, source: Path | None = None, say: Callable[[str], None] = print) -> None:
    """Renders the notes. Does nothing if that is done already.

    Args:
        folder: that is made.
        source: the sound font, an .sf2 file.
        say: is told, in lines, what is done and what is left out.

    Raises:
        DataError: the program or the font is missing, with the command that gets it, or it fails.
        UserError: the folder cannot be written.
    """
    if stored.ready(folder, NAME, _MADE_FROM):
        return
    program = render.check(source)
    say(f"rendering {len(INSTRUMENTS) * len(PITCHES):,} notes")
    sounds = np.concatenate(render.rendered(program, source, range(len(INSTRUMENTS))))
    kept = np.flatnonzero(render.heard(sounds))
    if silent := len(sounds) - len(kept):
        say(f"left out, silent: {silent}")
    texts, pitches = [], []
    for row in kept:
        instrument, place = divmod(int(row), len(PITCHES))
        texts.append(instruments.text(instrument, PITCHES[place]))
        pitches.append(PITCHES[place])
    every = {
        "signal": sounds[kept],
        "text": encode_texts(texts, _TEXT),
        "family": (kept // len(PITCHES) // 8).astype(np.int32),
        "pitch": np.array(pitches, np.float32),
    }
    held_out = np.array([uniform(f"{NAME} {one}") < _HELD_OUT for one in texts], bool)
    if held_out.all() or not held_out.any():  # or there are none
        raise DataError(
            f"{source} has {len(texts)} notes that can be heard, too few for training and testing: "
            "give another --from=FILE.sf2"
        )
    splits = {
        split: {name: array[rows] for name, array in every.items()}
        for split, rows in (("train", ~held_out), ("test", held_out))
    }
    note = f"rendered by {render.PROGRAM} from {source.name}"
    stored.write(folder, NAME, FIELDS, splits, note=note, license="that of the sound font")
    say(", ".join(f"{split} {len(arrays['text']):,}" for split, arrays in splits.items()))


def load(folder: Path, split: str) -> Source:
    """The notes that `prepare` wrote; see stored.load_prepared."""
    return stored.load_prepared(folder, NAME, split, _MADE_FROM)
