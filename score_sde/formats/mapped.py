"""A file as read-only memory."""

from __future__ import annotations

import mmap
from pathlib import Path

from score_sde.formats.restricted import Unreadable


def mapped(path: Path) -> mmap.mmap:
    """The bytes of a file, which are read when they are used.

    Raises:
        Unreadable: the file is empty.
    """
    with path.open("rb") as file:
        if path.stat().st_size == 0:
            raise Unreadable("is empty")
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
