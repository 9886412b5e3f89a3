"""Prompts of a telephone exchange in one woman's voice, 8 kHz, each with its name; no download.

    python -m score_sde.data prepare speech

The sounds are those of the Debian package asterisk-core-sounds-en-wav, which is looked for;
--from=FOLDER names a folder with others. Pieces have 1.5 seconds, as long as half of the prompts
are; see sounds for their fields. Among them are 94 numbers and 61 letters.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from score_sde.data import sounds, stored
from score_sde.data.base import DataError, Source
from score_sde.fields import decode_texts, words_of

NAME = "speech"
NEEDS = "apt-get install asterisk-core-sounds-en-wav, or --from=FOLDER, .wav files"
RATE, SECONDS = 8000, 1.5
INSTALLED = Path("/usr/share/asterisk/sounds/en_US_f_Allison")
_GET = (
    "apt-get install asterisk-core-sounds-en-wav, or apt-get download asterisk-core-sounds-en-wav "
    "&& dpkg -x asterisk-core-sounds-en-wav_*.deb speech "
    "&& python -m score_sde.data prepare speech --from=speech"
)


def prepare(folder: Path, source: Path | None = None, say: Callable[[str], None] = print) -> None:
    """Writes the set. Does nothing if that is done already.

    Args:
        folder: that is made.
        source: a folder of WAV files; None for those of the installed package.
        say: is told, in lines, what is done and what is left out.

    Raises:
        DataError: there are no sounds, with the command that gets them, or one cannot be read.
        UserError: the folder cannot be written.
    """
    if stored.ready(folder, NAME):
        return
    if source is None and not INSTALLED.is_dir():
        raise DataError(f"{NAME} needs the sounds of a package: {_GET}")
    made = sounds.splits(source or INSTALLED, RATE, SECONDS, say)
    note, license = "prompts of asterisk-core-sounds-en-wav", "CC BY-SA 3.0 (the package)"
    given = {"note": f"sounds of {source.name}"} if source else {"note": note, "license": license}
    words = words_of(decode_texts(made["train"]["text"]))
    own = sounds.fields(RATE, SECONDS, vocabulary=words)
    stored.write(folder, NAME, own, made, **given)


def load(folder: Path, split: str) -> Source:
    """What `prepare` wrote; see stored.load_prepared."""
    return stored.load_prepared(folder, NAME, split)
