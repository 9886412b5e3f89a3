"""Where weights, statistics and compiled functions are kept between runs."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from score_sde.errors import UserError
from score_sde.files import expanded


def folder() -> Path:
    """$SCORE_SDE_CACHE, or score_sde in $XDG_CACHE_HOME or ~/.cache; it need not exist.

    Raises:
        UserError: neither variable is set, and there is no home folder.
    """
    if own := os.environ.get("SCORE_SDE_CACHE"):
        return expanded(own)
    if caches := os.environ.get("XDG_CACHE_HOME"):
        return expanded(caches) / "score_sde"
    try:
        return Path.home() / ".cache" / "score_sde"
    except RuntimeError as error:
        raise UserError(
            "there is no home folder to keep anything in: set SCORE_SDE_CACHE=DIR"
        ) from error


def sha256(path: Path) -> str:
    """The SHA-256 of a file, 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
