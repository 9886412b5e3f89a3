"""The words of a list, as letters: one word a line, as spelling checkers have them.

Of /usr/share/dict/american-english (SCOWL, of the Debian package wamerican) these are 60,540.
"""

from __future__ import annotations

import os
import re
import string

import numpy as np

from score_sde.data import arrays
from score_sde.data.base import DataError, Source
from score_sde.fields import tokens
from score_sde.files import expanded, regular

NEEDS = "apt-get install wamerican, or --data_dir=FILE, a word a line"
USUAL = "/usr/share/dict/american-english"
SHORTEST, LONGEST = 3, 12
HELD_OUT = 3000
END = 0  # the token after the last letter, and of all places behind; letters are 1 to 26
NAMES = ("\n", *string.ascii_lowercase)

_MOST = 2**26  # bytes of a list
_WORD = re.compile(rb"[a-z]{%d,%d}" % (SHORTEST, LONGEST))
_HINT = (
    "give the path of a list of words, one a line: that of the Debian package wamerican, for "
    f"example (apt-get install wamerican), is {USUAL}"
)


def load(path: str | os.PathLike | None = None, split: str = "train") -> Source:
    """Opens a list of words.

    A word is 3 to 12 letters a to z; other lines are left out, and so are words that are there
    twice. Those for testing are 3,000, or a tenth of a small list, the same every time.

    Args:
      path: of the list, in ASCII or UTF-8; ~ is the home directory. None for USUAL.
      split: "train" or "test".

    Returns:
      The source, of 13 tokens, "tokens": the letters, then END.

    Raises:
      DataError: there is no such list, or no two words in it; SplitError if no such split.
    """
    words = sorted(set(_read(path)))
    if len(words) < 2:
        raise DataError(f"{path or USUAL} has fewer than two words of a to z: {_HINT}")
    order = np.random.default_rng(0).permutation(len(words))
    held_out = min(HELD_OUT, max(1, len(words) // 10))
    rows = _letters(words)
    parts = {"train": rows[np.sort(order[held_out:])], "test": rows[np.sort(order[:held_out])]}
    field = tokens(LONGEST + 1, len(NAMES), NAMES)
    by_split = {name: {"tokens": part} for name, part in parts.items()}
    place = str(expanded(path or USUAL))
    return arrays.source(by_split, name="words", split=split, fields=(field,), place=place)


def _read(path: str | os.PathLike | None) -> list[bytes]:
    try:
        with regular(expanded(path or USUAL)) as file:
            whole = file.read(_MOST + 1)
    except OSError as error:
        raise DataError(f"cannot read {path or USUAL}: {error.strerror}. {_HINT}") from error
    if len(whole) > _MOST:
        raise DataError(f"{path or USUAL} is larger than {_MOST:,} bytes: it is no list of words")
    return [line for line in whole.splitlines() if _WORD.fullmatch(line)]


def _letters(words: list[bytes]) -> np.ndarray:
    """int32 [n, 13]."""
    padded = b"".join(word.ljust(LONGEST + 1, b"`") for word in words)  # ` is before a
    letters = np.frombuffer(padded, np.uint8).reshape(len(words), LONGEST + 1)
    return letters.astype(np.int32) - ord("`")
