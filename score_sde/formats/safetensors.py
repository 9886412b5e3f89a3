"""A writer of safetensors files: named arrays and texts about them, nothing that is executed.

The format of https://github.com/huggingface/safetensors: the length of a header (uint64), the
header in JSON, which says of each array its type, shape and bytes, then the bytes of all. Numbers
are little-endian.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

import ml_dtypes
import numpy as np

from score_sde import files

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
    path = Path(path)
    if path.exists():
        raise FileExistsError(f"{path} exists")
    header: dict[str, object] = {"__metadata__": dict(about)}
    end, ordered = 0, sorted(arrays, key=lambda name: -arrays[name].dtype.itemsize)
    for name in ordered:
        array = arrays[name]
        if array.dtype not in KINDS:
            raise TypeError(f"{name} is an array of {array.dtype}")
        begin, end = end, end + array.nbytes
        header[name] = {
            "dtype": KINDS[array.dtype],
            "shape": list(array.shape),
            "data_offsets": [begin, end],
        }
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with files.replacing(path) as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in ordered:
            file.write(np.ascontiguousarray(arrays[name]).tobytes())
        os.fsync(file.fileno())
