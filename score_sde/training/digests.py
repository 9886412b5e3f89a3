"""Digests of arrays: whether what was read from a disk is what was written to it.

An array is digested block by block, by the SHA-256 of each block's bytes in C order. The blocks are
the parts that its sharding splits it into when it is written, and the place of each is written
down. So any number of devices and processes can check it, however they split the array themselves:
a block that lies in what a process holds is cut out of that.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

# Hexadecimal digits of a block's digest: 64 bits, which damage leaves alike once in 2**64 cases.
DIGITS = 16

# Where a block begins and ends along each axis of its array.
Place = tuple[tuple[int, int], ...]
Record = dict[str, dict[str, Any]]
# A part of an array, as it lies on a device, and what to cut out of it.
Block = tuple[Any, tuple[slice, ...]]


def digests(tree: Any) -> Record:
    """What is to be known of a pytree's arrays to find damage of them later, as plain values.

    All processes call it together, with the same pytree; each digests its own part.

    Args:
        tree: pytree of arrays.

    Returns:
        The dtype, the shape, and the place and digest of each block, by the path of each array.
    """
    arrays = _by_path(tree)
    writers = {path: _writers(array) for path, array in arrays.items()}
    blocks: list[Block | None] = []
    for path, array in arrays.items():
        parts = _parts(array)
        for place, process in writers[path].items():
            mine = process == jax.process_index()
            blocks.append(_cut(parts, place) if mine else None)
    found = iter(_from_all(_hashed(blocks)))
    return {
        path: {
            "dtype": str(array.dtype),
            "shape": list(array.shape),
            "blocks": [[place, next(found)] for place in writers[path]],
        }
        for path, array in arrays.items()
    }


def misfit(record: Mapping[str, Any], tree: Any) -> str | None:
    """How a pytree differs from the arrays that were written, in words; None if it does not.

    Args:
        record: what `digests` gave when they were written.
        tree: pytree of arrays or jax.ShapeDtypeStruct.
    """
    arrays = _by_path(tree)
    for path, array in arrays.items():
        if path not in record:
            return f"it has no {path}"
        there = _described(record[path]["dtype"], record[path]["shape"])
        if there != (here := _described(array.dtype, array.shape)):
            return f"its {path} is {there}, not {here}"
    more = next((path for path in record if path not in arrays), None)
    return more and f"it has {more}, and the config does not"


def damaged(record: Mapping[str, Any], tree: Any) -> str | None:
    """The path of an array that is not the one that was written; None if all of them are.

    If an array is split over processes, all of them call this together and get the same answer.

    Args:
        record: what `digests` gave when they were written.
        tree: pytree of arrays, which `misfit` has passed.
    """
    arrays = _by_path(tree)
    paths: list[str] = []
    expected: list[str] = []
    blocks: list[Block | None] = []
    for path, array in arrays.items():
        places = [_ends(place) for place, _ in record[path]["blocks"]]
        parts = _parts(array, places)
        paths += [path] * len(places)
        expected += [digest for _, digest in record[path]["blocks"]]
        blocks += [_cut(parts, place) for place in places]
    found = _hashed(blocks)
    wrong = [
        path
        for path, block, ours, theirs in zip(paths, blocks, found, expected, strict=True)
        if block is not None and ours != theirs
    ]
    if all(_whole(array) for array in arrays.values()):
        return wrong[0] if wrong else None
    order = list(arrays)
    first = order.index(wrong[0]) if wrong else len(order)
    first = int(np.min(multihost_utils.process_allgather(np.int32(first))))
    return order[first] if first < len(order) else None


def _by_path(tree: Any) -> dict[str, Any]:
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {jax.tree_util.keystr(path): leaf for path, leaf in leaves}


def _described(dtype: Any, shape: Any) -> str:
    return f"{dtype} [{', '.join(map(str, shape))}]"


def _place(index: tuple[slice, ...], shape: tuple[int, ...]) -> Place:
    return tuple(part.indices(size)[:2] for part, size in zip(index, shape, strict=True))


def _ends(place: Any) -> Place:
    """A place as it was before it went through a file."""
    return tuple((begin, end) for begin, end in place)


def _inside(inner: Place, outer: Place) -> bool:
    return all(c <= a and b <= d for (a, b), (c, d) in zip(inner, outer, strict=True))


def _whole(array: Any) -> bool:
    """Whether this process holds all of an array."""
    return not isinstance(array, jax.Array) or array.is_fully_addressable


def _everywhere(shape: tuple[int, ...]) -> Place:
    return tuple((0, size) for size in shape)


def _writers(array: Any) -> dict[Place, int]:
    """The blocks that an array is split into, in order, and the process that digests each."""
    if not isinstance(array, jax.Array):
        return {_everywhere(array.shape): jax.process_index()}
    writers: dict[Place, int] = {}
    for device, index in array.sharding.devices_indices_map(array.shape).items():
        place = _place(index, array.shape)
        writers[place] = min(device.process_index, writers.get(place, device.process_index))
    return dict(sorted(writers.items()))


def _parts(array: Any, places: Sequence[Place] = ()) -> dict[Place, Any]:
    """The parts of an array that this process can cut blocks at these places out of.

    Those that it holds; all of the array where it was split in another way when it was written.
    """
    if not isinstance(array, jax.Array):
        return {_everywhere(array.shape): array}
    there = _writers(array)
    if not all(place in there or any(_inside(place, part) for part in there) for place in places):
        whole = array if _whole(array) else multihost_utils.process_allgather(array, tiled=True)
        return {_everywhere(array.shape): whole}
    return {_place(shard.index, array.shape): shard.data for shard in array.addressable_shards}


def _cut(parts: Mapping[Place, Any], place: Place) -> Block | None:
    """The block at a place; None if it lies in no part."""
    outer = place if place in parts else next((p for p in parts if _inside(place, p)), None)
    if outer is None:
        return None
    inner = (slice(a - c, b - c) for (a, b), (c, _) in zip(place, outer, strict=True))
    return parts[outer], tuple(inner)


def _hashed(blocks: Sequence[Block | None]) -> list[str]:
    """The digest of each block, zeros for None."""

    def one(block: Block | None) -> str:
        if block is None:
            return "0" * DIGITS
        part, inner = block
        flat = np.ascontiguousarray(np.asarray(part)[inner]).reshape(-1)
        return hashlib.sha256(flat.view(np.uint8)).hexdigest()[:DIGITS]

    # Hashing and copying from devices both leave other threads room to work.
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        return list(pool.map(one, blocks))


def _from_all(found: list[str]) -> list[str]:
    """The digests of all blocks, of which each process knows its own and zeros for the others."""
    if jax.process_count() == 1:
        return found
    words = np.array([[int(text[:8], 16), int(text[8:], 16)] for text in found], np.uint32)
    total = multihost_utils.process_allgather(words).sum(axis=0, dtype=np.uint64)
    return [f"{high:08x}{low:08x}" for high, low in total]
