"""Packages of files as npm has them: a folder, or the .tgz that `npm pack NAME` brings.

Nothing of a package is executed or unpacked.
"""

from __future__ import annotations

import functools
import json
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from score_sde import files
from score_sde.data.base import DataError
from score_sde.data.find_files import find_files
from score_sde.errors import first_line

_SUFFIXES = (".svg", ".json")
_MOST_BYTES = 2**28  # of a file; Fluent's icons.json has 80 MB
_MOST_TOGETHER = 2**30
_WHAT = "give a folder of SVG files or of icons.json, or the .tgz of npm pack"

# What reads each file, by its path within the package.
Files = Mapping[PurePosixPath, Callable[[], bytes]]


def open_package(path: str | Path) -> Files:
    """The .svg and .json files of a package.

    Args:
      path: of a folder or of a .tgz file; ~ is the home directory.

    Raises:
      DataError: there is no such folder or file, it cannot be read, or it is too large.
    """
    path = files.expanded(path)
    if path.is_dir():
        found = find_files(path, _SUFFIXES)
        return {
            PurePosixPath(name.as_posix()): functools.partial(_read, Path(real))
            for name, real in found.items()
        }
    try:
        with files.regular(path) as file, tarfile.open(fileobj=file, mode="r:*") as tar:
            return _members(path, tar)
    except OSError as error:
        raise DataError(f"cannot read {path} ({error.strerror or error}): {_WHAT}") from error
    except (tarfile.TarError, EOFError) as error:
        raise DataError(f"{path} is no folder and no .tgz: {_WHAT}") from error


def read_json(data: bytes, name: str) -> dict[str, Any]:
    """The JSON object of a file.

    Raises:
      DataError: it holds none; the message begins with the name.
    """
    try:
        found = json.loads(data)
        if not isinstance(found, dict):
            raise ValueError("no JSON object")
    except (ValueError, RecursionError) as error:
        raise DataError(f"{name} cannot be read ({first_line(error)})") from error
    return found


def _read(path: Path) -> bytes:
    try:
        with files.regular(path) as file:
            data = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise DataError(f"cannot read {path} ({error.strerror or error})") from error
    if len(data) > _MOST_BYTES:
        raise DataError(f"{path} is larger than {_MOST_BYTES:,} bytes")
    return data


def _members(path: Path, tar: tarfile.TarFile) -> Files:
    """All files of an archive, which can only be read from its beginning to its end."""
    found, together = {}, 0
    for member in tar:
        name = PurePosixPath(member.name)
        if not member.isfile() or name.suffix.lower() not in _SUFFIXES:
            continue
        together += member.size
        if member.size > _MOST_BYTES or together > _MOST_TOGETHER:
            raise DataError(f"{path} holds more than {_MOST_TOGETHER:,} bytes, or {name} too many")
        with tar.extractfile(member) as file:
            found[name] = functools.partial(bytes, file.read())
    return found
