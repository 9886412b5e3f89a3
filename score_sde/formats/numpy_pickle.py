"""NumPy's numbers and arrays in a pickle, see restricted."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from score_sde.formats.restricted import Function, Names, Refused, line

# What numpy.dtype is asked for: sizes in bytes by the kind of number.
_KINDS = {"b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16"}
_LONGEST_SCALAR = 16  # bytes


class NumberType:
    """In place of numpy.dtype, for the types of numbers only."""

    def __init__(self, name: str, *_: Any):
        if not isinstance(name, str):
            raise Refused("a NumPy type without a name is refused")
        if name not in _KINDS:
            raise Refused(f"a NumPy scalar or array of type {line(name)} is refused")
        self.dtype = np.dtype(name).newbyteorder("<")

    def build(self, state: Any) -> None:
        """Keep the byte order, which is all that the state of a number's dtype says."""
        if state[1] in "<>":
            self.dtype = self.dtype.newbyteorder(state[1])


class Array:
    """In place of numpy.ndarray, which a pickle makes empty and then fills.

    Attributes:
        array: the numbers, read-only.
    """

    def __init__(self) -> None:
        self.array = np.empty(0)

    def build(self, state: Any) -> None:
        """(version, shape, type, whether in Fortran's order, bytes), as ndarray.__reduce__ writes.

        Raises:
            Refused: they do not fit together.
        """
        match state:
            case (1, tuple(shape), NumberType(dtype=dtype), bool(fortran), bytes(data)):
                whole = all(type(n) is int and n >= 0 for n in shape) and len(shape) <= 64
                if whole and math.prod(shape) * dtype.itemsize == len(data):
                    flat = np.frombuffer(data, dtype)
                    self.array = flat.reshape(shape, order="F" if fortran else "C")
                    return
        raise Refused("a NumPy array that is not what it claims to be is refused")


def _scalar(kind: NumberType, data: bytes) -> np.generic:
    """In place of numpy.core.multiarray.scalar."""
    if type(kind) is not NumberType:
        raise Refused("a NumPy scalar without a type is refused")
    return np.frombuffer(data, kind.dtype, 1)[0]


def _encode(text: str, encoding: str) -> bytes:
    """In place of _codecs.encode, with which old protocols write bytes."""
    if encoding not in ("latin1", "latin-1"):
        raise Refused("an encoding other than latin1 is refused")
    if len(text) > _LONGEST_SCALAR:  # copies of one long text would fill any memory
        raise Refused("bytes longer than a NumPy scalar's are refused")
    return text.encode("latin1")


SCALARS: Names = {
    ("numpy", "dtype"): Function(NumberType),
    ("numpy.core.multiarray", "scalar"): Function(_scalar),
    ("numpy._core.multiarray", "scalar"): Function(_scalar),
    ("_codecs", "encode"): Function(_encode),
}
ARRAYS: Names = {
    ("numpy", "ndarray"): None,
    ("numpy.core.multiarray", "_reconstruct"): Function(lambda *_: Array()),
    ("numpy._core.multiarray", "_reconstruct"): Function(lambda *_: Array()),
}
