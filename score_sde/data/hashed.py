"""Numbers that are drawn of a text, always the same: which examples are held out, for example."""

from __future__ import annotations

import hashlib


def uniform(text: str) -> float:
    """A number in [0, 1), by a hash that no library can change.

    Args:
        text: what it is of; of a path that is no UTF-8, as the system has it.
    """
    digest = hashlib.sha256(text.encode(errors="surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64
