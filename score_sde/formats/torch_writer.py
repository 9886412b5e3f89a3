"""A writer of PyTorch's .pth files, for NumPy arrays and plain containers. It needs no PyTorch.

The file is a zip archive of one pickle and one raw little-endian array for each tensor, as
`torch.save` writes it and torch.load(weights_only=True) reads it. Python's own pickler can name a
global only after importing it, so the few operations of pickle protocol 2 that such a file needs
are written out here.
"""

from __future__ import annotations

import math
import pickle
import struct
import tempfile
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np

from score_sde.formats.tensors import STORAGES

_KINDS = {dtype: kind for kind, dtype in STORAGES.items()}


def save(path: str | Path, value: Any) -> None:
    """Write a file whole or not at all; one that exists is not replaced.

    Args:
        path: the file.
        value: arrays in dictionaries, OrderedDicts, lists and tuples, beside None, booleans,
            64-bit integers, floats and strings.

    Raises:
        FileExistsError: the file exists.
        TypeError: value holds something else.
    """
    path = Path(path)
    if path.exists():
        raise FileExistsError(f"{path} exists")
    pickled = _Pickle()
    pickled.add(value)
    # A folder of its own, beside the file: no name in it can be a user's.
    with tempfile.TemporaryDirectory(prefix=".", suffix=".partial", dir=path.parent) as partial:
        written = Path(partial) / "archive.pth"
        with zipfile.ZipFile(written, "w") as archive:
            folder = path.stem or "archive"
            archive.writestr(f"{folder}/data.pkl", pickled.program())
            archive.writestr(f"{folder}/byteorder", "little")
            for key, array in enumerate(pickled.arrays):
                archive.writestr(f"{folder}/data/{key}", array.tobytes())
            archive.writestr(f"{folder}/version", "3\n")
        written.replace(path)


class _Pickle:
    """The pickle of a value, and the arrays that it refers to."""

    def __init__(self) -> None:
        self.parts: list[bytes] = [pickle.PROTO + b"\x02"]
        self.arrays: list[np.ndarray] = []

    def program(self) -> bytes:
        return b"".join([*self.parts, pickle.STOP])

    def add(self, value: Any) -> None:
        """Append the operations that leave the value on top of the stack."""
        match value:
            case None:
                self.parts.append(pickle.NONE)
            case bool():
                self.parts.append(pickle.NEWTRUE if value else pickle.NEWFALSE)
            case int() if -(2**31) <= value < 2**31:
                self.parts.append(pickle.BININT + struct.pack("<i", value))
            case int():
                self.parts.append(pickle.LONG1 + b"\x08" + struct.pack("<q", value))
            case float():
                self.parts.append(pickle.BINFLOAT + struct.pack(">d", value))
            case str():
                text = value.encode()
                self.parts.append(pickle.BINUNICODE + struct.pack("<I", len(text)) + text)
            case tuple():
                self.parts.append(pickle.MARK)
                self.add_all(value, pickle.TUPLE)
            case list():
                self.parts.append(pickle.EMPTY_LIST + pickle.MARK)
                self.add_all(value, pickle.APPENDS)
            case dict():
                if isinstance(value, OrderedDict):
                    self.name("collections", "OrderedDict")
                    self.parts.append(pickle.EMPTY_TUPLE + pickle.REDUCE)
                else:
                    self.parts.append(pickle.EMPTY_DICT)
                self.parts.append(pickle.MARK)
                self.add_all([part for item in value.items() for part in item], pickle.SETITEMS)
            case np.ndarray():
                self.tensor(value)
            case _:
                raise TypeError(f"cannot write a {type(value).__name__}")

    def add_all(self, values: Any, then: bytes) -> None:
        for value in values:
            self.add(value)
        self.parts.append(then)

    def name(self, module: str, name: str) -> None:
        self.parts.append(pickle.GLOBAL + f"{module}\n{name}\n".encode())

    def tensor(self, array: np.ndarray) -> None:
        """torch._utils._rebuild_tensor_v2(storage, offset, shape, stride, requires_grad, hooks)."""
        array = np.asarray(array, order="C")  # ascontiguousarray would give a scalar an axis
        if array.dtype not in _KINDS:
            raise TypeError(f"cannot write an array of {array.dtype}")
        self.name("torch._utils", "_rebuild_tensor_v2")
        self.parts.append(pickle.MARK + pickle.MARK)
        self.add("storage")
        self.name("torch", _KINDS[array.dtype])
        self.add_all((str(len(self.arrays)), "cpu", array.size), pickle.TUPLE)
        self.parts.append(pickle.BINPERSID)
        stride = tuple(math.prod(array.shape[axis + 1 :]) for axis in range(array.ndim))
        self.add_all((0, array.shape, stride, False, OrderedDict()), pickle.TUPLE)
        self.parts.append(pickle.REDUCE)
        self.arrays.append(array)
