"""Where weights and statistics are kept between runs."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path


def folder() -> Path:
    """$SCORE_SDE_CACHE, or ~/.cache/score_sde; it need not exist."""
    return Path(os.environ.get("SCORE_SDE_CACHE") or "~/.cache/score_sde").expanduser()


def sha256(path: Path) -> str:
    """The SHA-256 of a file, 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
