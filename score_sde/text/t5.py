"""T5's tokeniser (Raffel et al. 2020, arXiv 1910.10683): pieces of the most probable segmentation.

A text is normalised (see charsmap), its spaces become the sign U+2581, with one in front, and of
all ways to cut it into pieces the most probable is taken (see unigram). Special tokens written out,
as <extra_id_0>, are found first, and each stretch between them is a text of its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from score_sde.text import pieces, settings
from score_sde.text.base import Tokenizer, valid
from score_sde.text.charsmap import CharsMap
from score_sde.text.pieces import Pieces
from score_sde.text.unigram import Unigram

PIECES = "spiece.model"
LENGTH = 512
_SPACE = "\u2581"


class T5Tokenizer(Tokenizer):
    """Texts to ids as T5 was trained with them.

    Args:
        found: the pieces and what normalises a text.
        special: tokens that are found where a text has them written out, and their ids.
        end: the token that each text ends with; there is none that it begins with.
        pad: that which fills it up.
        length: the most ids of a text.

    Raises:
        ValueError: a special token is unknown, or the pieces are damaged.
    """

    def __init__(
        self,
        found: Pieces,
        special: Mapping[str, int],
        *,
        end: str = "</s>",
        pad: str = "<pad>",
        length: int = LENGTH,
    ):
        for name in (end, pad):
            if name not in special:
                raise ValueError(f"lacks the token {name!r:.60}")
        self.special = dict(special)
        self.chars = CharsMap(found.charsmap)
        self.segmented = Unigram(found.scores, found.unknown)
        written = sorted(map(re.escape, special), key=len, reverse=True)
        self.pattern = re.compile(f"({'|'.join(written)})")
        size = max(found.size, 1 + max(special.values()))
        super().__init__(start=None, end=special[end], pad=special[pad], length=length, size=size)

    def encode(self, text: str) -> list[int]:
        """See Tokenizer."""
        found: list[int] = []
        for part in self.pattern.split(valid(text)):
            if part in self.special:
                found.append(self.special[part])
            else:
                found += self.segmented(self.normalised(part))
        return found

    def normalised(self, text: str) -> str:
        """A text without special tokens as its pieces are made of it; empty if it is blank."""
        text = re.sub(" +", " ", self.chars(text)).strip(" ")
        return (_SPACE + text.replace(" ", _SPACE)).rstrip(_SPACE)


def read(folder: Path) -> T5Tokenizer:
    """The tokeniser of spiece.model or, where that is not there, of tokenizer.json.

    Raises:
        ValueError: a file is damaged, or the tokeniser is none as T5 has it.
    """
    path = folder / PIECES
    path, of = (
        (path, pieces.of_model) if path.exists() else (folder / settings.JSON, pieces.of_json)
    )
    told = settings.read(folder)
    try:
        found = of(path)
        special = found.special | _added(told, found)
        settings.check_ids(special)
        return T5Tokenizer(
            found,
            special,
            end=settings.token(told, "eos_token", "</s>"),
            pad=settings.token(told, "pad_token", "<pad>"),
            length=settings.length(told, LENGTH),
        )
    except ValueError as error:
        raise ValueError(f"{path} {error}") from error


def _added(told: Mapping[str, Any], found: Pieces) -> dict[str, int]:
    """Tokens beyond the pieces: <extra_id_0> is the last of 100, if nothing else is said."""
    listed = told.get("added_tokens_decoder")
    if isinstance(listed, dict):
        names = {settings.token(listed, number, ""): number for number in listed}
        return {name: int(n) for name, n in names.items() if name and n.isdecimal()}
    count = told.get("extra_ids", 100)
    if found.extra or type(count) is not int or not 0 <= count <= 10_000:
        return {}
    return {f"<extra_id_{i}>": found.size + count - 1 - i for i in range(count)}
