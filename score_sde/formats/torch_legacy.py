"""The container of `torch.save` before PyTorch 1.6, which pickles of modules still hold.

Five pickles (a magic number, the version 1001, a dictionary about the system, the object, the list
of its storages' keys), then for each key the number of elements (int64) and their bytes, which are
little-endian.
"""

from __future__ import annotations

import mmap
from typing import Any

import numpy as np

from score_sde.formats.restricted import Program, Refused, Unpickler, Unreadable, line
from score_sde.formats.tensors import NAMES, WITHOUT_NUMBERS, Storage, Stored

_MAGIC = 0x1950A86A20F9469CFC6C
_VERSION = 1001
# The pickle of the magic number, with which every such file begins.
START = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."


def load(data: bytes | mmap.mmap) -> Any:
    """The object, with NumPy arrays in place of tensors: views of the data, read-only.

    Of a storage that was saved alone, a tensors.Storage.

    Raises:
        Unreadable: the data are damaged.
        Refused: see torch_file.load.
    """
    program = Program(data)
    if _plain(program) != _MAGIC or _plain(program) != _VERSION:
        raise Unreadable("is not a PyTorch file: it does not begin as one")
    match _plain(program):
        case {"little_endian": True}:
            pass
        case _:
            raise Unreadable("holds big-endian arrays, which are not supported")
    begin = program.position
    stored: dict[str, Stored] = {}

    def note(pid: Any) -> Storage:
        found = Stored.of(pid)
        if stored.setdefault(found.key, found)[:3] != found[:3]:
            raise Unreadable(f"is damaged: two storages are called {line(found.key)}")
        return Storage(np.empty(0, found.dtype))

    # Twice, because the numbers lie behind the object that needs them.
    Unpickler(program, WITHOUT_NUMBERS, note).load()
    arrays = _arrays(data, program, stored)

    def storage(pid: Any) -> Storage:
        found = Stored.of(pid)
        first, size = found.part or (0, found.size)
        return Storage(arrays[found.key][first : first + size])

    return Unpickler(Program(data, begin), NAMES, storage).load()


def _plain(program: Program) -> Any:
    """A pickle without names."""
    return Unpickler(program, {}).load()


def _arrays(
    data: bytes | mmap.mmap, program: Program, stored: dict[str, Stored]
) -> dict[str, np.ndarray]:
    """The storages, which follow the list of their keys."""
    keys = _plain(program)
    if type(keys) is not list or not all(type(key) is str for key in keys):
        raise Refused("a list of storages that are no names is refused")
    if sorted(keys) != sorted(stored):
        raise Unreadable("is damaged: its list of storages is not that of its tensors")
    position, arrays = program.position, {}
    for key in keys:
        dtype, size = stored[key].dtype, stored[key].size
        if int.from_bytes(data[position : position + 8], "little", signed=True) != size:
            raise Unreadable(f"is damaged: storage {line(key)} is not of its size")
        position += 8
        if position + size * dtype.itemsize > len(data):
            raise Unreadable(f"is damaged: storage {line(key)} is too short")
        arrays[key] = np.frombuffer(data, dtype, size, position)
        position += size * dtype.itemsize
    return arrays
