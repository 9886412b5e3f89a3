"""CLIP's tokeniser (Radford et al. 2021, arXiv 2103.00020): words, and their bytes merged in pairs.

A text is cleaned (see cleaning), then cut into words, and each word, as bytes, into the tokens that
byte-level BPE makes of it (see bpe). Words are: 's 't 're 've 'm 'll 'd; letters; one digit; other
signs but white space. Special tokens written out are found first: those of start, end and padding.
So where the padding is "!", as in the released SD 2, each "!" of a prompt is the padding's id.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from score_sde import files
from score_sde.errors import first_line
from score_sde.text import settings
from score_sde.text.base import Tokenizer, valid
from score_sde.text.bpe import END, ByteBPE, Pair
from score_sde.text.cleaning import clean

VOCABULARY, MERGES = "vocab.json", "merges.txt"
LENGTH = 77


class CLIPTokenizer(Tokenizer):
    """Texts to ids as CLIP was trained with them; upper and lower case are alike.

    Args:
        vocabulary: tokens and their ids.
        merges: pairs of tokens that are merged, the first first.
        start: the token that each text begins with.
        end: that which it ends with, and which stands for what the vocabulary lacks.
        pad: that which fills it up.
        length: the most ids of a text.

    Raises:
        ValueError: a special token is not in the vocabulary.
    """

    def __init__(
        self,
        vocabulary: dict[str, int],
        merges: list[Pair],
        *,
        start: str = "<|startoftext|>",
        end: str = "<|endoftext|>",
        pad: str = "<|endoftext|>",
        length: int = LENGTH,
    ):
        for name in (start, end, pad):
            if name not in vocabulary:
                raise ValueError(f"lacks the token {name!r:.60}")
        self.special = {name.lower(): vocabulary[name] for name in (start, end, pad)}
        self.parts = re.compile(f"({'|'.join(map(re.escape, self.special))})")
        self.words = ByteBPE(vocabulary, merges, unknown=vocabulary[end])
        ids = {"start": vocabulary[start], "end": vocabulary[end], "pad": vocabulary[pad]}
        super().__init__(**ids, length=length, size=1 + max(vocabulary.values()))

    def encode(self, text: str) -> list[int]:
        """See Tokenizer.

        Raises:
            ValueError: ftfy is not installed.
        """
        found: list[int] = []
        for part in self.parts.split(clean(valid(text)).lower()):
            if part in self.special:
                found.append(self.special[part])
            else:
                found += [i for word in _words(part) for i in self.words(word)]
        return found


_WORDS = re.compile(r"'(?:s|t|re|ve|m|ll|d)|(?P<alike>[^\W_]+)|(?:[^\s\w]|_)+", re.IGNORECASE)


def _words(text: str) -> Iterator[str]:
    for match in _WORDS.finditer(text):
        if match["alike"] is None:
            yield match[0]
            continue
        # Letters together, and each digit or other number alone.
        for letters, run in itertools.groupby(match[0], _is_letter):
            word = "".join(run)
            yield from [word] if letters else word


def _is_letter(character: str) -> bool:
    return unicodedata.category(character)[0] == "L"


def read(folder: Path) -> CLIPTokenizer:
    """The tokeniser of vocab.json and merges.txt or, where they are not there, of tokenizer.json.

    Its special tokens, padding and length are those of tokenizer_config.json and
    special_tokens_map.json, if they are there: SD 2 and the second one of SDXL pad with "!".

    Raises:
        ValueError: a file is missing or damaged.
    """
    told, path = settings.read(folder), folder / VOCABULARY
    if (folder / MERGES).exists():
        vocabulary, merges = settings.json_object(path), _merges(folder / MERGES)
    else:
        path = folder / settings.JSON
        vocabulary, merges = _of_json(path)
    end = settings.token(told, "eos_token", "<|endoftext|>")
    try:
        return CLIPTokenizer(
            settings.vocabulary(vocabulary),
            merges,
            start=settings.token(told, "bos_token", "<|startoftext|>"),
            end=end,
            pad=settings.token(told, "pad_token", end),
            length=settings.length(told, LENGTH),
        )
    except ValueError as error:
        raise ValueError(f"{path} {error}") from error


def _merges(path: Path) -> list[Pair]:
    """The pairs of merges.txt, a line each after the first, which says the version."""
    try:
        with files.regular(path) as file:
            lines = file.read().decode().split("\n")
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read ({first_line(error)})") from error
    lines = lines[1:] if lines[0].startswith("#version") else lines
    return _pairs(path, [line for line in lines if line.strip()])


def _of_json(path: Path) -> tuple[Any, list[Pair]]:
    """The vocabulary and the pairs of a tokenizer.json."""
    model = settings.model(path)
    if model.get("type") != "BPE" or model.get("end_of_word_suffix") != END:
        raise ValueError(f"{path} is no tokeniser as CLIP has it")
    merges = model.get("merges")
    return model.get("vocab"), _pairs(path, merges if isinstance(merges, list) else [None])


def _pairs(path: Path, rows: list[Any]) -> list[Pair]:
    """Pairs of tokens, each a text with a space in it or a list."""
    found = [tuple(row.split() if isinstance(row, str) else row or ()) for row in rows]
    for pair in found:
        if len(pair) != 2 or not all(isinstance(token, str) for token in pair):
            raise ValueError(f"{path} has {pair!r:.60} for a pair of tokens")
    return found
