"""Lines of text files of columns, as atoms come in: read within limits, never executed.

A file is UTF-8 or ASCII, also compressed by gzip; bytes that are neither become marks that no
number has.
"""

from __future__ import annotations

import gzip
import io
import math
import re
import zlib
from pathlib import Path

from score_sde.errors import UserError, first_line
from score_sde.files import regular

MOST_BYTES = 2**27  # of a file once decompressed; the largest of the PDB in its old format has 9 MB
_GZIP = b"\x1f\x8b"
# Python's float takes "1_0", "infinity" and digits of other scripts, too.
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)


def lines(path: str | Path, what: str, most: int = MOST_BYTES) -> list[str]:
    """The lines of a file, without their ends.

    Args:
        path: the file; one that ends in .gz, or begins as such a file does, is decompressed.
        what: it should be, for the message: "a PDB file".
        most: bytes that it may have, decompressed.

    Raises:
        UserError: it cannot be read, is larger, or is binary.
    """
    try:
        with regular(path) as file:
            start = file.read(2)
            file.seek(0)
            stream = gzip.GzipFile(fileobj=file) if start == _GZIP else file
            data = stream.read(most + 1)
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or first_line(error)
        raise UserError(f"cannot read {path} ({reason}): give {what}") from error
    if len(data) > most:
        raise UserError(f"{path} is larger than {most:,} bytes: give {what}")
    if b"\0" in data:
        raise UserError(f"{path} is binary: give {what}")
    return io.StringIO(data.decode("utf-8", "replace")).read().splitlines()


def number(text: str) -> float:
    """A finite number of a column; ValueError if it is none."""
    text = text.strip()
    value = float(text) if _NUMBER.fullmatch(text) else math.nan
    if not math.isfinite(value):
        raise ValueError(f"{text[:20]!r} is no number")
    return value


def whole(text: str) -> int:
    """A whole number of a column; ValueError if it is none."""
    text = text.strip()
    if not re.fullmatch(r"[+-]?\d{1,9}", text, re.ASCII):
        raise ValueError(f"{text[:20]!r} is no whole number")
    return int(text)
