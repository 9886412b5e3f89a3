"""The table of SentencePiece that normalises characters: a trie of what is replaced, and by what.

The trie is a double array (Aoe 1989, IEEE Trans. Software Eng. 15(9)) in one: a unit, of 32 bits,
holds the byte that leads to it (bits 0-7), whether what led there is a whole key (bit 8) and how
far its children are (bits 10-31, in steps of 256 if bit 9 is set). The child of a whole key for the
byte 0 holds where its replacement begins among the texts, each of which ends with a byte 0.
"""

from __future__ import annotations

import numpy as np


class CharsMap:
    """Replaces what the table has, at each place the longest, and leaves the rest.

    Args:
        table: as a model's file has it; empty to replace nothing.

    Raises:
        ValueError: it is damaged; the message follows the name of the file.
    """

    def __init__(self, table: bytes):
        size = int.from_bytes(table[:4], "little")
        if table and (size % 4 or not 4 <= size <= len(table) - 4):
            raise ValueError("has a damaged table of characters")
        self.units = np.frombuffer(table[4 : 4 + size], "<u4").tolist()
        self.texts = table[4 + size :]

    def __call__(self, text: str) -> str:
        """A text without surrogates, normalised."""
        if not self.units:
            return text
        data, found, i = text.encode(), bytearray(), 0
        while i < len(data):
            key, replacement = self._longest(data, i)
            if key == 0:
                key = _length(data[i])
                replacement = data[i : i + key]
            found += replacement
            i += key
        return found.decode(errors="replace")

    def _longest(self, data: bytes, begin: int) -> tuple[int, bytes]:
        """How long the longest key at a place is, 0 if none is there, and its replacement."""
        found = (0, b"")
        place = self._children(0)
        for i in range(begin, len(data)):
            place ^= data[i]
            if place >= len(self.units) or self.units[place] & 0x800000FF != data[i]:
                break
            whole, place = self.units[place] >> 8 & 1, place ^ self._children(place)
            if whole and place < len(self.units):
                text = self.texts[self.units[place] & 0x7FFFFFFF :]
                found = (i + 1 - begin, text.partition(b"\0")[0])
        return found

    def _children(self, place: int) -> int:
        unit = self.units[place]
        return unit >> 10 << (8 if unit >> 9 & 1 else 0)


def _length(first: int) -> int:
    """How many bytes a character has in UTF-8, by its first one."""
    return 1 if first < 0x80 else 2 if first < 0xE0 else 3 if first < 0xF0 else 4
