"""The unigram model of segmentation (Kudo 2018, arXiv 1804.10959)."""

from __future__ import annotations

import math
from collections.abc import Mapping

# How much less than the worst piece a character counts that no piece has (SentencePiece's choice).
_UNKNOWN = 10.0


class Unigram:
    """Cuts a text into pieces so that the sum of their log-probabilities is the largest.

    Args:
        scores: of each piece its id and its log-probability; not empty.
        unknown: the id of characters that no piece has; of several in a row there is one.
    """

    def __init__(self, scores: Mapping[str, tuple[int, float]], unknown: int):
        self.scores, self.unknown = dict(scores), unknown
        self.longest = max(map(len, self.scores))
        self.worst = min(score for _, score in self.scores.values()) - _UNKNOWN

    def __call__(self, text: str) -> list[int]:
        """The ids of a text, by Viterbi's algorithm; of equal sums the longer last piece wins."""
        best = [0.0] + [-math.inf] * len(text)
        last = [(0, self.unknown)] * (len(text) + 1)  # where the last piece begins, and its id
        for begin in range(len(text)):
            for end in range(begin + 1, min(begin + self.longest, len(text)) + 1):
                piece = self.scores.get(text[begin:end])
                if piece is None and end == begin + 1:
                    piece = (self.unknown, self.worst)
                if piece is not None and best[begin] + piece[1] > best[end]:
                    best[end], last[end] = best[begin] + piece[1], (begin, piece[0])
        found: list[int] = []
        end = len(text)
        while end:
            end, number = last[end]
            if number != self.unknown or not found or found[-1] != self.unknown:
                found.append(number)
        return found[::-1]
