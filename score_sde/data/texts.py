"""Tokens of text files, in a folder that data.encoded reads.

The texts of a folder, one after another, are cut into examples of as many tokens each. Tokens are
characters, or those of a released tokeniser, its file tokenizer.json, by the package tokenizers.
Of all tokens the last twentieth is held out.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from score_sde import files
from score_sde.data import encoded, stored
from score_sde.data.base import DataError
from score_sde.errors import first_line, is_failure
from score_sde.fields import Field, tokens

NAME = "texts"
NEEDS = "--texts=FOLDER, .txt files"
OPTIONS = frozenset({"texts", "tokenizer", "length"})
LENGTH = 256
_HELD_OUT = 20  # one of so many tokens
_BETWEEN = "\n\n"  # between two files
_MOST = 2**31  # bytes of all files
_MOST_TOKENS = 2**21  # of a tokeniser; released ones have up to 262,144
_SPACE = "\N{LOWER ONE EIGHTH BLOCK}"  # what stands for one in the pieces of SentencePiece


def prepare(
    folder: str | os.PathLike,
    texts: str | os.PathLike | None = None,
    tokenizer: str | os.PathLike | None = None,
    length: int = LENGTH,
) -> str:
    """Write a set of tokens, to be read as the set "encoded" at this folder.

    Args:
      folder: that is made.
      texts: a folder whose files *.txt, in folders within it too, are read in their order; UTF-8.
      tokenizer: a file tokenizer.json; None for characters.
      length: tokens of an example.

    Returns:
      The folder.

    Raises:
      DataError: there are no such files, or what they hold is too little or no text.
    """
    folder = encoded.new(folder, NAME, texts, "txt")
    whole = _BETWEEN.join(_read(files.expanded(texts)))
    names, found = _by_characters(whole) if tokenizer is None else _by(tokenizer, whole)
    held_out = len(found) // _HELD_OUT
    parts = {"train": found[: len(found) - held_out], "test": found[len(found) - held_out :]}
    rows = {split: part[: len(part) // length * length] for split, part in parts.items()}
    if not all(len(part) for part in rows.values()):
        raise DataError(
            f"{texts} has {len(found):,} tokens, of which a twentieth is held out: too few for "
            f"examples of {length}"
        )
    dtype = "uint16" if len(names) <= 2**16 else "int32"
    field = Field(**{**vars(tokens(length, len(names), names)), "dtype": dtype})
    splits = {
        split: {field.name: part.reshape(-1, length).astype(dtype)} for split, part in rows.items()
    }
    note = f"tokens of texts, {len(field.names)} in all"
    stored.write(folder, encoded.NAME, (field,), splits, note=note)
    return str(folder)


def _read(folder: Path) -> Iterator[str]:
    paths, total = sorted(folder.rglob("*.txt")), 0
    if not paths:
        raise DataError(f"{folder} has no files *.txt")
    for path in paths:
        try:
            with files.regular(path) as file:
                content = file.read(_MOST + 1 - total)
            total += len(content)
            if total > _MOST:
                raise DataError(f"the texts in {folder} are larger than {_MOST:,} bytes together")
            yield content.decode()
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"{path} cannot be read as a text: {first_line(error)}") from error


def _by_characters(text: str) -> tuple[tuple[str, ...], np.ndarray]:
    """What each token stands for, in the order of their code points, and the tokens."""
    codes = np.frombuffer(text.encode("utf-32-le"), np.uint32)
    there, found = np.unique(codes, return_inverse=True)
    return tuple(map(chr, there)), found


def _by(path: str | os.PathLike, text: str) -> tuple[tuple[str, ...], np.ndarray]:
    """The same by a released tokeniser, without what it puts around a text."""
    tokenizer = _opened(path)
    with _of_the_package(path):
        tokenizer.no_truncation()  # a text is longer than what a released encoder takes
        tokenizer.no_padding()
        found = np.asarray(tokenizer.encode(text, add_special_tokens=False).ids, np.int64)
        return _names(tokenizer), found


def names(path: str | os.PathLike) -> tuple[str, ...]:
    """What each token of a released tokeniser stands for in a text; "" where there is none.

    Args:
      path: its file tokenizer.json.

    Raises:
      DataError: it cannot be read, or the package tokenizers is missing.
    """
    tokenizer = _opened(path)
    with _of_the_package(path):
        return _names(tokenizer)


@contextlib.contextmanager
def _of_the_package(path: str | os.PathLike) -> Iterator[None]:
    """Turn what the package tokenizers raises, which has no types of its own, into a DataError."""
    try:
        yield
    except MemoryError:
        raise
    except BaseException as error:
        if not is_failure(error):
            raise
        raise DataError(f"{path} is no tokenizer.json: {first_line(error)}") from error


def _opened(path: str | os.PathLike) -> Any:
    if importlib.util.find_spec("tokenizers") is None:
        raise DataError(
            'reading tokenizer.json needs tokenizers: pip install "score_sde[tokenizers]", or pip '
            'install -e ".[tokenizers]" in a checkout'
        )
    from tokenizers import Tokenizer

    path = files.expanded(path)
    with _of_the_package(path), files.regular(path) as file:
        return Tokenizer.from_str(file.read().decode())


def _names(tokenizer: Any) -> tuple[str, ...]:
    pieces = {
        number: piece for piece, number in tokenizer.get_vocab(with_added_tokens=True).items()
    }
    if not 0 <= max(pieces, default=-1) < _MOST_TOKENS:
        raise ValueError(f"its tokens are not numbered from 0 to at most {_MOST_TOKENS - 1:,}")

    def name(number: int) -> str:
        piece = pieces.get(number, "")
        if _SPACE in piece:
            return piece.replace(_SPACE, " ")
        return tokenizer.decode([number], skip_special_tokens=False) if piece else ""

    return tuple(name(number) for number in range(max(pieces) + 1))
