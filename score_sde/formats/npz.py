"""Arrays in .npz files: what they are is known, and checked, before any memory is taken for them.

Nothing in a file is executed: arrays of objects are refused. An array is as large as its bytes in
the file, so that a few bytes cannot claim to be 10^12 numbers.
"""

from __future__ import annotations

import contextlib
import math
import os
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
from numpy.lib import format as npy

from score_sde.errors import UserError, first_line

_DEFLATE = 1032  # times as large is the most that deflate can make of its bytes
_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


class Header(NamedTuple):
    """What an array says of itself.

    Attributes:
        shape: its shape.
        dtype: its type.
    """

    shape: tuple[int, ...]
    dtype: np.dtype


class Arrays(Mapping[str, np.ndarray]):
    """The arrays of an open file, by name: an array is read when it is asked for.

    Attributes:
        headers: of each, by name.
    """

    headers: dict[str, Header]

    def __init__(self, archive: zipfile.ZipFile, size: int):
        self._archive = archive
        self._members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        self.headers = {name: self._header(name, size) for name in self._members}

    def __getitem__(self, name: str) -> np.ndarray:
        member = self._members[name]
        try:
            with self._archive.open(member) as file:
                return npy.read_array(file, allow_pickle=False)
        except Exception as error:  # each method of compression has its own words for damage
            raise ValueError(f"{name} cannot be read ({first_line(error)})") from error

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)

    def _header(self, name: str, size: int) -> Header:
        info = self._members[name]
        with self._archive.open(info) as file:
            header = _read_header(name, file)
            start = file.tell()
        if header.dtype.hasobject:
            raise ValueError(f"{name} holds Python objects, which would be executed")
        claimed = math.prod(header.shape) * header.dtype.itemsize
        if claimed + start != info.file_size or claimed > _DEFLATE * size:
            raise ValueError(f"{name} claims to be {list(header.shape)}, which it is not")
        return header


def _read_header(name: str, file: IO[bytes]) -> Header:
    try:
        version = npy.read_magic(file)
        if version not in _HEADERS:
            raise ValueError(f"version {version} of its format is not that of plain arrays")
        shape, _, dtype = _HEADERS[version](file)
    except Exception as error:  # NumPy reads it as Python's literals, and has many words for damage
        raise ValueError(f"{name} is not an array: {first_line(error)}") from error
    if any(n < 0 for n in shape):
        raise ValueError(f"{name} claims to be {list(shape)}, which nothing is")
    return Header(shape, dtype)


@contextlib.contextmanager
def opened(path: Path, what: str) -> Iterator[Arrays]:
    """Open a file for reading.

    Args:
        path: the file; one that is no regular file is not waited for.
        what: it should be, for the message: "a file of statistics".

    Raises:
        UserError: it is not there, or not an .npz file of plain arrays, or what is done with it
            within raises one of the errors of damaged files.
    """
    if not os.path.lexists(path):
        raise UserError(f"there is no {path}: give the path of {what}")
    try:
        if path.exists() and not path.is_file():
            raise ValueError("it is no regular file")
        with zipfile.ZipFile(path) as archive:
            yield Arrays(archive, path.stat().st_size)
    except UserError:
        raise
    except (
        OSError,
        MemoryError,
        NotImplementedError,  # of a method of compression that zipfile does not know
        RuntimeError,  # of encrypted ones
        ValueError,
        TypeError,
        zipfile.BadZipFile,
    ) as error:
        raise UserError(f"{path} is not {what}: {first_line(error)}") from error
