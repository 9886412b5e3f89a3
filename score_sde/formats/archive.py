"""Files in zip archives, read within limits, whatever an archive claims of them."""

from __future__ import annotations

import zipfile
import zlib

# What reading a damaged, encrypted (RuntimeError) or unknown (NotImplementedError, which is one)
# archive raises.
DAMAGED = (OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)


def member(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    """A file of an archive.

    Args:
        archive: that has it.
        name: its path there.
        most: bytes that it may have, decompressed; no more are read.

    Raises:
        ValueError: there is none, or it is larger; as DAMAGED where the archive is.
    """
    try:
        with archive.open(name) as file:
            found = file.read(most + 1)
    except KeyError as error:
        raise ValueError(f"no {name} in it") from error
    if len(found) > most:
        raise ValueError(f"{name} is larger than {most:,} bytes")
    return found
