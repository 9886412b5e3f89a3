"""Notes of a sound font, by the program `fluidsynth`, which is installed and not part of this."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from score_sde.data.base import DataError
from score_sde.data.notes import midi
from score_sde.data.notes.instruments import PITCHES
from score_sde.files import regular

RATE = 16_000
SAMPLES = RATE  # a second of each note
PROGRAM = "fluidsynth"

# A note is let go before its second ends, so that its end is heard too, and what sounds longer is
# cut off before the next begins.
_EVERY, _HELD, _SILENT = 1.5, 0.75, 1.125
_OPTIONS = {"synth.reverb.active": 0, "synth.chorus.active": 0, "synth.cpu-cores": 1}
_GAIN = 2.0  # of which none of the 4,608 notes of TimGM6mb.sf2 is clipped
_SECONDS = 120  # that a rendering may take; it takes less than one
_LEAST = 1e-3  # of the largest sample, of a note that can be heard


def check(font: Path | None) -> Path:
    """The program, if it is installed and the font is one.

    Raises:
        DataError: it is not, with the command that gets what is missing.
    """
    program = shutil.which(PROGRAM)
    if program is None:
        raise DataError(f"notes are rendered by {PROGRAM}: sudo apt-get install {PROGRAM}")
    if font is None:
        raise DataError(
            "notes need a sound font, --from=FILE.sf2: that of the package pretty_midi by pip "
            "download --no-deps pretty_midi && python -m zipfile -e pretty_midi-*.whl sf2, which "
            "is then sf2/pretty_midi/TimGM6mb.sf2"
        )
    try:
        with regular(font) as file:
            start, size = file.read(12), os.fstat(file.fileno()).st_size
    except OSError as error:
        raise DataError(f"cannot read {font} ({error.strerror or error})") from error
    if start[:4] != b"RIFF" or start[8:] != b"sfbk":
        raise DataError(f"{font} is no sound font (.sf2): give another --from")
    if size < (whole := 8 + int.from_bytes(start[4:8], "little")):  # it would be played as silence
        raise DataError(f"{font} ends early ({size:,} of {whole:,} bytes): get it again")
    return Path(program)


def rendered(program: Path, font: Path, instruments: Iterable[int]) -> list[np.ndarray]:
    """The notes of instruments, one second at RATE of each of PITCHES.

    Args:
        program: what `check` gave.
        font: the sound font.
        instruments: programs of General MIDI, 0 to 127.

    Returns:
        For each instrument, float32 within [-1, 1], [pitches, SAMPLES].

    Raises:
        DataError: the program fails.
    """
    found = []
    with tempfile.TemporaryDirectory() as folder:
        score, sound = Path(folder, "notes.mid"), Path(folder, "notes.raw")
        for instrument in instruments:
            score.write_bytes(midi.notes(instrument, PITCHES, _EVERY, _HELD, _SILENT))
            _run(program, font, score, sound)
            found.append(_cut(sound))
    return found


def _run(program: Path, font: Path, score: Path, sound: Path) -> None:
    options = [word for name, value in _OPTIONS.items() for word in ("-o", f"{name}={value}")]
    command = [program, "-n", "-i", "-q", *options, "-g", _GAIN, "-r", RATE]
    command += ["-T", "raw", "-O", "s16", "-E", "little", "-F", sound, font.absolute(), score]
    try:
        done = subprocess.run(
            list(map(str, command)),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DataError(f"{PROGRAM} cannot be run ({error})") from error
    if done.returncode or not sound.is_file():
        said = done.stderr.decode(errors="replace").strip().splitlines() or ["it says nothing"]
        raise DataError(f"{PROGRAM} cannot render {font} ({said[0]})")


def _cut(sound: Path) -> np.ndarray:
    """The first second of each note: the mean of left and right."""
    both = np.fromfile(sound, "<i2").reshape(-1, 2).mean(axis=1, dtype=np.float32) / 32768
    starts = [round(n * _EVERY * RATE) for n in range(len(PITCHES))]
    if len(both) < starts[-1] + SAMPLES:
        raise DataError(f"{PROGRAM} rendered {len(both)} samples, too few for the notes")
    return np.stack([both[start : start + SAMPLES] for start in starts])


def heard(notes: np.ndarray) -> np.ndarray:
    """Which notes can be heard, bool [...], of [..., samples]."""
    return np.abs(notes).max(-1) >= _LEAST
