"""PyTorch's tensors in a pickle, see restricted: views of storages, as NumPy arrays."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

from score_sde.formats.numpy_pickle import SCALARS
from score_sde.formats.restricted import CONTAINERS, Function, Names, Refused, Unreadable

STORAGES = {
    "DoubleStorage": np.dtype("<f8"),
    "FloatStorage": np.dtype("<f4"),
    "HalfStorage": np.dtype("<f2"),
    "BFloat16Storage": np.dtype(ml_dtypes.bfloat16),
    "LongStorage": np.dtype("<i8"),
    "IntStorage": np.dtype("<i4"),
    "ShortStorage": np.dtype("<i2"),
    "CharStorage": np.dtype("i1"),
    "ByteStorage": np.dtype("u1"),
    "BoolStorage": np.dtype("?"),
}


class Kind(NamedTuple):
    """In place of the class of a storage.

    Attributes:
        dtype: of its numbers.
    """

    dtype: np.dtype


class Stored(NamedTuple):
    """What a persistent id says of a storage.

    Attributes:
        key: its name in the file.
        dtype: of its numbers.
        size: how many it has.
        part: (first, size) of those that are meant; None for all.
    """

    key: str
    dtype: np.dtype
    size: int
    part: tuple[int, int] | None = None

    @classmethod
    def of(cls, pid: Any) -> Stored:
        """Read a persistent id; where the storage lay (`cuda:0`) means nothing.

        Raises:
            Refused: it is of something else.
        """
        match pid:
            case ("storage", Kind(dtype), str(key), _, int(size)) if size >= 0:
                return cls(key, dtype, size)
            case ("storage", Kind(dtype), str(key), _, int(size), None) if size >= 0:
                return cls(key, dtype, size)
            case ("storage", Kind(dtype), str(key), _, int(size), (_, int(begin), int(n))):
                if begin >= 0 and n >= 0 and begin + n <= size:
                    return cls(key, dtype, size, (begin, n))
        # Not its repr: of tuples in tuples, each twice, it is longer than any memory.
        raise Refused(f"a persistent id of type {type(pid).__name__} is refused")


class Storage(NamedTuple):
    """The numbers that tensors are views of.

    Attributes:
        flat: them, one-dimensional.
    """

    flat: np.ndarray


def view(
    storage: Storage, offset: int, shape: tuple[int, ...], stride: tuple[int, ...], *_: Any
) -> np.ndarray:
    """In place of torch._utils._rebuild_tensor_v2.

    Raises:
        Unreadable: the view does not lie in the storage, or repeats its numbers.
    """
    if type(storage) is not Storage:
        raise Refused("a tensor of something other than a storage is refused")
    flat, numbers = storage.flat, (offset, *shape, *stride)
    if not len(shape) == len(stride) <= 64 or not all(
        type(n) is int and 0 <= n < 2**63 for n in numbers
    ):
        raise Unreadable("is damaged: a tensor's shape and strides do not fit")
    last = offset + sum((n - 1) * step for n, step in zip(shape, stride, strict=True))
    if math.prod(shape) == 0:
        return np.empty(shape, flat.dtype)
    # With strides of zero a few bytes would be an array of any size.
    if last >= flat.size or math.prod(shape) > flat.size:
        raise Unreadable("is damaged: a tensor does not fit in its storage")
    strides = [step * flat.dtype.itemsize for step in stride]
    return np.lib.stride_tricks.as_strided(flat[offset:], shape, strides, writeable=False)


NAMES: Names = {
    **CONTAINERS,
    **SCALARS,
    **{("torch", name): Kind(dtype) for name, dtype in STORAGES.items()},
    ("torch._utils", "_rebuild_tensor_v2"): Function(view),
    ("torch._utils", "_rebuild_parameter"): Function(lambda tensor, *_: tensor),
}
# The same before any storage is there: tensors are None.
WITHOUT_NUMBERS: Names = {
    **NAMES,
    ("torch._utils", "_rebuild_tensor_v2"): Function(lambda *_: None),
}
