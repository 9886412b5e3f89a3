"""What a tokeniser is: from texts to ids of equal number."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from score_sde.checks import check_count


class Tokens(NamedTuple):
    """Texts as ids.

    Attributes:
        ids: int32 [batch, length].
        mask: whether it is a token, start and end among them, and no padding; bool [batch, length].
    """

    ids: np.ndarray
    mask: np.ndarray


class Tokenizer(abc.ABC):
    """Texts to ids.

    Args:
        start: the id that each text begins with; None for none.
        end: that which it ends with.
        pad: that which fills it up.
        length: the most ids of a text, those of start and end among them.
        size: one more than the largest id that it knows.
    """

    def __init__(self, *, start: int | None, end: int, pad: int, length: int, size: int):
        self.start, self.end, self.pad, self.length = start, end, pad, length
        self.size = size

    @property
    def frame(self) -> int:
        """How many ids of each text are those of start and end."""
        return 1 if self.start is None else 2

    @abc.abstractmethod
    def encode(self, text: str) -> list[int]:
        """The ids of any text, without those of start and end, however many there are."""

    def __call__(self, texts: Sequence[str], length: int | None = None) -> Tokens:
        """Texts to ids, cut and filled to one length; one that is cut has its end.

        Args:
            texts: any.
            length: how many ids; None: as many as at most.

        Raises:
            ValueError: one is no text, or the length leaves no room.
        """
        if isinstance(texts, str):
            raise ValueError("prompts must be a list of texts, not one text")
        for text in texts:
            check_text(text)
        return self.framed([self.encode(text) for text in texts], length)

    def framed(self, texts: Sequence[Sequence[int]], length: int | None = None) -> Tokens:
        """The same of texts whose ids there are already; see `encode`."""
        length = self.length if length is None else length
        check_count("the length of a text in tokens", length)
        first = [] if self.start is None else [self.start]
        if length <= len(first):
            raise ValueError(f"a text of {length} tokens has no room for its start and end")
        ids = np.full((len(texts), length), self.pad, np.int32)
        mask = np.zeros((len(texts), length), bool)
        for i, text in enumerate(texts):
            row = [*first, *text[: length - 1 - len(first)], self.end]
            ids[i, : len(row)], mask[i, : len(row)] = row, True
        return Tokens(ids, mask)


def check_text(text: object) -> None:
    """Raise ValueError unless a prompt is a text."""
    if not isinstance(text, str):
        raise ValueError(f"a prompt must be a text, not {text!r:.60}")


def valid(text: str) -> str:
    """A text in which halves of surrogate pairs, which are no characters, are replaced (U+FFFD)."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
