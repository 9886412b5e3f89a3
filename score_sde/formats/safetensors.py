"""Safetensors files, read and written: named arrays and texts about them, nothing that is executed.

The format of https://github.com/huggingface/safetensors: the length of a header (uint64), the
header in JSON, which says of each array its type, shape and bytes, then the bytes of all. Numbers
are little-endian.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

import ml_dtypes
import numpy as np

from score_sde import files, records

KINDS = {
    np.dtype("<f8"): "F64",
    np.dtype("<f4"): "F32",
    np.dtype("<f2"): "F16",
    np.dtype(ml_dtypes.bfloat16): "BF16",
    np.dtype("<i8"): "I64",
    np.dtype("<i4"): "I32",
    np.dtype("u1"): "U8",
    np.dtype("?"): "BOOL",
}
_DTYPES = {kind: dtype for dtype, kind in KINDS.items()}
SUFFIX = ".safetensors"
_LARGEST_HEADER = 16 * 2**20  # it holds about 100 bytes for an array


class Shaped(Protocol):
    """What has a shape and a dtype: an array, or what stands for one."""

    shape: tuple[int, ...]
    dtype: Any


def save(path: str | Path, arrays: Mapping[str, np.ndarray], about: Mapping[str, str]) -> None:
    """Write a file whole or not at all; one that exists is not replaced.

    Args:
        path: the file.
        arrays: by name, of a type in KINDS. The file holds those of larger numbers first, so that
            each lies where its numbers can be read.
        about: texts for its metadata.

    Raises:
        FileExistsError: the file exists.
        TypeError: an array is of another type.
    """
    write(path, arrays, arrays.items(), about)


def write(
    path: str | Path,
    shapes: Mapping[str, Shaped],
    arrays: Iterable[tuple[str, np.ndarray]],
    about: Mapping[str, str],
) -> None:
    """Write a file of arrays that are made one at a time; else as `save`.

    Args:
        path: the file.
        shapes: of every array, by name: whatever has its shape and dtype.
        arrays: name and array of each, once, in any order.
        about: texts for its metadata.

    Raises:
        FileExistsError: the file exists.
        TypeError: an array is of a type that is not in KINDS.
        ValueError: they are not those of `shapes`.
    """
    path = Path(path)
    if path.exists():
        raise FileExistsError(f"{path} exists")
    header: dict[str, Any] = {"__metadata__": dict(about)}
    end = 0
    for name in sorted(shapes, key=lambda name: -np.dtype(shapes[name].dtype).itemsize):
        dtype, shape = np.dtype(shapes[name].dtype), tuple(shapes[name].shape)
        if dtype not in KINDS:
            raise TypeError(f"{name} is an array of {dtype}")
        begin, end = end, end + math.prod(shape) * dtype.itemsize
        header[name] = {
            "dtype": KINDS[dtype],
            "shape": list(shape),
            "data_offsets": [begin, end],
        }
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with files.replacing(path) as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + end)
        missing = set(shapes)
        for name, array in arrays:
            if name not in missing or _said(array) != _said(shapes[name]):
                raise ValueError(f"{name} is not the array that was to be written")
            missing.remove(name)
            file.seek(8 + len(text) + header[name]["data_offsets"][0])
            file.write(np.ascontiguousarray(array).view(np.uint8).data if array.size else b"")
        if missing:
            raise ValueError(f"{min(missing)} was to be written, and is not there")
        os.fsync(file.fileno())


def _said(array: Shaped) -> tuple[tuple[int, ...], np.dtype]:
    return tuple(array.shape), np.dtype(array.dtype)


def is_one(path: Path) -> bool:
    """Whether a file begins as one; or is called so, and begins as no file of PyTorch.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        start = file.read(9)  # of a length below 4 GB the last four bytes are zero
    if start[4:] == b"\0\0\0\0{":
        return True
    return path.suffix == SUFFIX and not start.startswith((b"PK\x03\x04", b"\x80\x02"))


def load(path: str | Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """The arrays of a file, which are mapped from it, and the texts about them.

    Args:
        path: a file of arrays of types in KINDS.

    Returns:
        (arrays by name, read-only; texts by name).

    Raises:
        ValueError: the file is damaged, or not of this format: arrays overlap, for example.
    """
    path = Path(path)
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > min(size - 8, _LARGEST_HEADER):
            raise ValueError(f"{path} is not a safetensors file")
        try:
            header = records.parse(file.read(length))
        except ValueError as error:
            raise ValueError(f"{path} is not a safetensors file: its header {error}") from error
    about = header.pop("__metadata__", {})
    if not isinstance(about, dict) or not all(isinstance(text, str) for text in about.values()):
        raise ValueError(f"{path} is damaged: its metadata are no texts")
    data = np.memmap(path, np.uint8, "r")[8 + length :]
    arrays = {name: _array(path, name, entry, data) for name, entry in header.items()}
    _check_beside(path, header, data.size)
    return arrays, about


def _check_beside(path: Path, header: Mapping[str, Any], size: int) -> None:
    """Raise ValueError unless the arrays follow each other, as the format has them."""
    places = sorted((*entry["data_offsets"], name) for name, entry in header.items())
    end = 0
    for begin, next_end, name in places:
        if begin != end:
            how = "overlaps others" if begin < end else "leaves bytes out before it"
            raise ValueError(f"{path} is damaged: {_shown(name)} {how}")
        end = next_end
    if end != size:
        raise ValueError(f"{path} is damaged: it has {size - end:,} bytes that are of no array")


def _array(path: Path, name: str, entry: Any, data: np.ndarray) -> np.ndarray:
    match entry:
        case {"dtype": str(kind), "shape": list(shape), "data_offsets": [begin, end]}:
            numbers = (*shape, begin, end)
            if kind in _DTYPES and all(type(n) is int and 0 <= n < 2**63 for n in numbers):
                size = math.prod(shape) * _DTYPES[kind].itemsize
                if len(shape) <= 32 and end - begin == size and end <= data.size:
                    return data[begin:end].view(_DTYPES[kind]).reshape(shape)
    raise ValueError(f"{path} is damaged: {_shown(name)} is not what it claims to be")


def _shown(name: str) -> str:
    return ascii(name[:100])[1:-1]
