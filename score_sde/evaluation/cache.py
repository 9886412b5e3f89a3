"""Where weights, statistics and compiled functions are kept between runs."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path


def folder() -> Path:
    """$SCORE_SDE_CACHE, or score_sde in $XDG_CACHE_HOME or ~/.cache; it need not exist."""
    if own := os.environ.get("SCORE_SDE_CACHE"):
        return Path(own).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "score_sde"


def sha256(path: Path) -> str:
    """The SHA-256 of a file, 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
