"""Byte-level byte pair encoding of words (Sennrich et al. 2016, arXiv 1508.07909; Radford 2019)."""

from __future__ import annotations

import functools
import heapq
import itertools
from collections.abc import Mapping, Sequence

Pair = tuple[str, str]
END = "</w>"  # of a word: its last letter is another token than the same letter within


class ByteBPE:
    """A word's bytes, of which pairs are merged, those first that were merged first in training.

    Args:
        vocabulary: tokens and their ids.
        merges: pairs of tokens, the first first.
        unknown: the id of what the vocabulary lacks.
    """

    def __init__(self, vocabulary: Mapping[str, int], merges: Sequence[Pair], unknown: int):
        self.vocabulary, self.unknown = vocabulary, unknown
        self.ranks = {pair: rank for rank, pair in enumerate(merges)}
        self._known = functools.lru_cache(maxsize=2**14)(self._merged)

    def __call__(self, word: str) -> list[int]:
        """The ids of a word, which is not empty."""
        return [self.vocabulary.get(token, self.unknown) for token in self._known(word)]

    def _merged(self, word: str) -> tuple[str, ...]:
        """The tokens of a word; the time goes with its length, but for a logarithm."""
        tokens = [_ALPHABET[byte] for byte in word.encode()]
        tokens[-1] += END
        size = len(tokens)
        after, before = list(range(1, size + 1)), list(range(-1, size - 1))
        waiting: list[tuple[int, int, Pair]] = []  # rank, place of the first, and the pair

        def wait(first: int) -> None:
            if first >= 0 and after[first] < size:
                pair = tokens[first], tokens[after[first]]
                if (rank := self.ranks.get(pair)) is not None:
                    heapq.heappush(waiting, (rank, first, pair))

        for first in range(size - 1):
            wait(first)
        while waiting:
            _, first, pair = heapq.heappop(waiting)
            second = after[first]
            if second >= size or (tokens[first], tokens[second]) != pair:
                continue  # one of the two was merged since
            tokens[first], tokens[second] = "".join(pair), ""
            after[first] = after[second]
            if after[first] < size:
                before[after[first]] = first
            wait(before[first])
            wait(first)
        return tuple(filter(None, tokens))


def _alphabet() -> list[str]:
    """A visible character for each byte.

    Those that are visible in Latin-1 stand for themselves, the others, in order, for U+0100 and on.
    """
    visible = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = itertools.count(0x100)
    return [chr(byte if byte in visible else next(others)) for byte in range(256)]


_ALPHABET = _alphabet()
