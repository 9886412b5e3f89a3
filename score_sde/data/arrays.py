"""A data set of NumPy arrays, .npz, .npy or a Python function, from a script or by config.

There are three ways to one:

    source({"image": uint8 [n, H, W, C], "label": int [n]})     arrays that a script has
    load("mine.npz", "train")                                   arrays in a file
    function(draw, size=10_000, name="rings")                   examples that a function draws

`data.register` gives any of these a name of its own.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import cast

import numpy as np

from score_sde.checks import check_count
from score_sde.data.base import (
    MOST_CLASSES,
    DataError,
    Examples,
    Info,
    Read,
    Source,
    SplitError,
    digest,
)
from score_sde.errors import UserError, first_line
from score_sde.fields import Field, encode_texts, image, label, latent, number, text, vector, video
from score_sde.files import expanded, regular
from score_sde.formats import npz

# One array, or an array for each field.
Part = np.ndarray | Mapping[str, np.ndarray]
Arrays = Part | Mapping[str, Part]
Draw = Callable[[np.random.Generator, int], Part]
LogDensity = Callable[[np.ndarray], np.ndarray]

_SPLITS = ("train", "test")
_HOLD_OUT = 10
_USABLE = (
    "an image is uint8 [n, height, width, channels] or [n, height, width], a video uint8 "
    "[n, frames, height, width, channels], a vector float [n, d], "
    "a label integer [n], a number float [n], a text str [n]"
)
_STARTS = (np.lib.format.MAGIC_PREFIX, b"PK\x03\x04", b"PK\x05\x06")  # of .npy, .npz, empty .npz
_CHUNK = 2**20  # elements of a mapped array that are looked at together
_HASHED = 2**26  # bytes of a set, at most, that its fingerprint is of
_PAGE = 2**12  # bytes of a file that come into memory together, at least


def source(
    arrays: Arrays,
    *,
    name: str = "arrays",
    split: str = "train",
    fields: Sequence[Field] | None = None,
    hold_out: int = _HOLD_OUT,
    log_density: LogDensity | None = None,
    place: str = "",
) -> Source:
    """Makes a source of arrays with a common first axis, which are not copied.

    What a field means follows from its array: uint8 [n, H, W, C] or [n, H, W] is an image of 256
    levels, uint8 [n, frames, H, W, C] a video; float [n, d] a vector; integer [n] a label, whose
    classes are 0 to the largest of all splits; float [n] a number; str [n] a text; float
    [n, H, W, C] that is named latent a latent.
    Fields that are given take the place of this, and arrays without one are left out.

    Args:
      arrays: by the names of the fields; or one array, whose name is its kind; or either for each
        split, {"train": ..., "test": ...}.
      name: of the data set.
      split: one of those given; else "train" or "test".
      fields: what the arrays mean; None to infer it.
      hold_out: where no splits are given, every so many-th example is for testing and the rest for
        training.
      log_density: see `Source`.
      place: see `Source`.

    Returns:
      The source. It does not cache: reading is copying already.

    Raises:
      DataError: an array that is no field, or not the given one; arrays that are empty, or differ
        in length or between splits; a float that is not finite; a class that is negative.
      SplitError: there is no such split.
      ValueError: hold_out is not a whole number of at least 1.
    """
    return _source(arrays, name, name, split, fields, hold_out, log_density, place)


def load(path: str | os.PathLike[str], split: str = "train") -> Source:
    """Opens a file that np.save or np.savez wrote. Nothing in it is executed: no pickle is read.

    An .npy file is one array; it is mapped, so it may be larger than memory. An .npz file has an
    array for each field; it is loaded. If every name is a split or begins with one, as do
    "train_image" and "test_image", these are the splits. See `source` for the rest.

    Args:
      path: of the file; ~ is the home directory.
      split: "train" or "test".

    Returns:
      The source; its name is "arrays".

    Raises:
      DataError: no such file, not a file of arrays, an array of objects, and what `source` raises.
      SplitError: there is no such split.
    """
    path = expanded(path)
    where = str(path)
    return _source(_by_split(_read(path)), "arrays", where, split, None, _HOLD_OUT, None, where)


def function(
    draw: Draw,
    size: int,
    *,
    name: str,
    split: str = "train",
    test_size: int | None = None,
    fields: Sequence[Field] | None = None,
    seed: int = 0,
    log_density: LogDensity | None = None,
) -> Source:
    """Makes a source of what a function draws; an example is a function of its split and index.

    Every split is drawn at once, here, from a generator that the seed and the name of the split
    give. So the order of access does not matter, a resumed run sees the same examples, and those
    for testing are independent of those for training.

    Args:
      draw: draw(rng, n) gives n examples: arrays by the names of the fields, or one array.
      size: number of training examples.
      name: of the data set.
      split: "train" or "test".
      test_size: number of held-out examples; None for a tenth of size, but at least 100.
      fields: what the arrays mean; None to infer it as `source` does.
      seed: another gives other examples; at least 0.
      log_density: of the modelled field, if it is known; see `Source`.

    Returns:
      The source.

    Raises:
      DataError: draw gave another number of examples, and what `source` raises.
      SplitError: there is no such split.
      ValueError: a size is not a whole number of at least 1.
    """
    check_count("size", size)
    sizes = dict(zip(_SPLITS, (size, max(100, size // 10)), strict=True))
    if test_size is not None:
        check_count("test_size", test_size)
        sizes["test"] = test_size
    # Both are drawn, since a class may occur in only one of them.
    drawn = {}
    for part, n in sizes.items():
        rng = np.random.default_rng((seed, int.from_bytes(part.encode(), "big")))
        drawn[part] = _by_name(draw(rng, n), fields)
        for key, array in drawn[part].items():
            if array.shape[:1] != (n,):
                raise DataError(
                    f"draw(rng, {n}) of {name} gave {key!r} as {_described(array)}: its first axis "
                    f"must be the {n} examples"
                )
    return source(drawn, name=name, split=split, fields=fields, log_density=log_density)


def _source(
    arrays: Arrays,
    name: str,
    where: str,
    split: str,
    fields: Sequence[Field] | None,
    hold_out: int,
    log_density: LogDensity | None,
    place: str,
) -> Source:
    """See `source`; where: what an error says that the arrays are of."""
    check_count("hold_out", hold_out)
    by_split = _is_by_split(arrays)
    splits = tuple(arrays) if by_split else _SPLITS
    if split not in splits:
        raise SplitError(f"{where} has no split {split!r}: use {', '.join(splits)}")
    named_parts = cast(Mapping[str, Part], arrays if by_split else {split: arrays})
    parts = {
        f"split {part!r} of {where}" if by_split else where: _by_name(named, fields)
        for part, named in named_parts.items()
    }
    try:
        fields = _fields(parts, fields)
    except DataError:
        raise
    except ValueError as error:  # of a name
        raise DataError(f"{where}: {error}") from error
    chosen = parts[f"split {split!r} of {where}" if by_split else where]

    rows = np.arange(len(chosen[fields[0].name]))
    if not by_split:
        kept = (rows % hold_out == hold_out - 1) == (split == "test")
        if not kept.any():  # without a held-out split one can train
            raise (SplitError if split == "test" else DataError)(
                f"{where} has {len(rows)} examples, of which one in {hold_out} is for testing, so "
                f"split {split!r} is empty: give each split its own arrays"
            )
        rows = rows[kept]

    def read(indices: np.ndarray) -> Examples:
        taken = rows[indices]
        return {field.name: _values(field, chosen[field.name][taken]) for field in fields}

    info = Info(name, split, len(rows), fields, _fingerprint(read, len(rows), fields))
    return Source(info, read, cache_bytes=0, log_density=log_density, place=place)


def _values(field: Field, array: np.ndarray) -> np.ndarray:
    """Values of a field, [n, *shape], of what holds them."""
    if array.dtype.kind == "U":
        return encode_texts(map(str, array), *field.shape)
    array = np.asarray(array).reshape(len(array), *field.shape)
    return array.astype(field.dtype, copy=False)


def _fingerprint(read: Read, size: int, fields: Sequence[Field]) -> str:
    """Of the values as they are given: the same whether a file or a script holds them.

    Of a large set, which may be larger than memory, only evenly spaced examples count: it is
    opened in a moment.
    """
    each = sum(math.prod(field.shape) * np.dtype(field.dtype).itemsize for field in fields)
    rows = np.arange(size)
    if size * each > _HASHED:
        count = max(2, _HASHED // max(each, _PAGE))
        rows = np.linspace(0, size - 1, count).astype(np.int64)
    found = {field.name: hashlib.sha256() for field in fields}
    step = max(1, _CHUNK // max(math.prod(field.shape) for field in fields))
    for start in range(0, len(rows), step):
        for name, values in read(rows[start : start + step]).items():
            found[name].update(values.tobytes())
    return digest(part for name, one in found.items() for part in (name, one.hexdigest()))


def _is_by_split(arrays: Arrays) -> bool:
    """Whether arrays are given for each split, by name or one of them."""
    if not isinstance(arrays, Mapping) or not arrays:
        return False
    return set(arrays) <= set(_SPLITS) or any(isinstance(a, Mapping) for a in arrays.values())


def _by_name(arrays: Part, fields: Sequence[Field] | None) -> dict[str, np.ndarray]:
    """Arrays by the names of their fields; that of a single array is its kind."""
    if isinstance(arrays, Mapping):
        return {name: np.asarray(array) for name, array in arrays.items()}
    array = np.asarray(arrays)
    return {fields[0].name if fields else _kind(array) or "array": array}


def _by_split(arrays: np.ndarray | dict[str, np.ndarray]) -> Arrays:
    """The arrays of a file, by split and name if every name begins with a split."""
    names = [] if isinstance(arrays, np.ndarray) else [name.partition("_") for name in arrays]
    if not names or not all(split in _SPLITS and rest for split, _, rest in names):
        return arrays
    return {
        part: {rest: arrays[f"{part}_{rest}"] for split, _, rest in names if split == part}
        for part in dict.fromkeys(split for split, _, _ in names)
    }


def _read(path: Path) -> np.ndarray | dict[str, np.ndarray]:
    """What a file holds."""
    try:
        with regular(path) as file:
            start = file.read(8)
    except OSError as error:
        raise DataError(
            f"cannot read {path} ({error.strerror or error}): give the path of an .npz or .npy file"
        ) from error
    if not start.startswith(_STARTS):
        raise DataError(f"{path} is no .npz or .npy file: write one with np.savez or np.save")
    hint = "write uint8, integers or floats with np.savez or np.save"
    try:
        if start.startswith(np.lib.format.MAGIC_PREFIX):
            return np.lib.format.open_memmap(path, mode="r")
        with npz.opened(path, "an .npz file of arrays") as arrays:
            return dict(arrays)
    except UserError as error:
        raise DataError(f"{error}: {hint}") from error
    except Exception as error:  # NumPy fails in many ways on a file that is broken
        raise DataError(f"cannot read {path} ({first_line(error)}): {hint}") from error


def _fields(
    parts: dict[str, dict[str, np.ndarray]], fields: Sequence[Field] | None
) -> tuple[Field, ...]:
    """The fields of all parts, by what an error calls each part; those given, or else inferred."""
    given = [field.name for field in fields or ()]
    names = given or list(dict.fromkeys(name for part in parts.values() for name in part))
    for where, part in parts.items():
        _check_sizes(names, part, where)
    fields = tuple(fields or (_inferred(name, parts) for name in names))
    for where, part in parts.items():
        for field in fields:
            _check(field, part[field.name], where)
    return fields


def _check_sizes(names: list[str], part: dict[str, np.ndarray], where: str) -> None:
    """Raises a DataError unless the arrays are there, not empty and of one length."""
    if not names:
        raise DataError(f"{where} has no arrays: give one for each field, such as image or vector")
    for name in names:
        if name not in part:
            raise DataError(f"{where} has no array {name!r}: it has {', '.join(part) or 'none'}")
        if not part[name].size:
            raise DataError(f"array {name!r} of {where} is {_described(part[name])}: it is empty")
        if not part[name].ndim:
            raise DataError(f"array {name!r} of {where} is one {part[name].dtype}: {_USABLE}")
    if len({len(part[name]) for name in names}) > 1:
        lengths = ", ".join(f"{name} {len(part[name])}" for name in names)
        raise DataError(
            f"the arrays of {where} differ in length ({lengths}): give every example one of each, "
            "and splits as train_NAME and test_NAME in a file or as {'train': {...}, 'test': {...}}"
        )


def _kind(array: np.ndarray) -> str:
    """What an array means, one of fields.KINDS, or empty."""
    if array.dtype == np.uint8 and array.ndim in (3, 4, 5):
        return "video" if array.ndim == 5 else "image"
    if array.dtype.kind == "f" and array.ndim in (1, 2):
        return ("number", "vector")[array.ndim - 1]
    if array.dtype.kind == "U" and array.ndim == 1:
        return "text"
    return "label" if array.dtype.kind in "iu" and array.ndim == 1 else ""


def _inferred(name: str, parts: dict[str, dict[str, np.ndarray]]) -> Field:
    """The field of the arrays of a name."""
    where, first = next(iter(parts.items()))
    array = first[name]
    kind = _kind(array)
    if kind == "image":
        return image((*array.shape[1:], 1)[:3], name=name)
    if kind == "video":
        return video(array.shape[1:], name=name)
    if kind == "vector":
        return vector(array.shape[1], name)
    if name == "latent" and array.dtype.kind == "f" and array.ndim == 4:
        return latent(array.shape[1:])
    if kind == "number":
        return number(name)
    if kind == "text":
        texts = [one for part in parts.values() if _kind(part[name]) == kind for one in part[name]]
        return text(max(1, max(len(one.encode()) for one in texts)), name)
    if kind == "label":
        labels = [part[name] for part in parts.values() if _kind(part[name]) == kind]
        classes = 1 + max(int(array.max()) for array in labels)
        if classes > MOST_CLASSES:
            raise DataError(
                f"array {name!r} of {where} would be a label of {classes:,} classes; there can be "
                f"{MOST_CLASSES:,}: leave it out, or number the classes from 0"
            )
        return label(classes, name=name)
    raise DataError(f"array {name!r} of {where} is {_described(array)}: {_USABLE}")


def _check(field: Field, array: np.ndarray, where: str) -> None:
    """Raises a DataError unless the array can be read as the field."""
    dtype = np.dtype(field.dtype)
    named = f"array {field.name!r} of {where}"
    if field.kind == "text" and _kind(array) == "text":
        try:
            encode_texts(map(str, array), *field.shape)
        except ValueError as error:
            raise DataError(f"{named}: {error}") from error
        return
    grey = (1,) if field.kind == "image" and array.ndim == 3 else ()
    if array.shape[1:] + grey != field.shape or not np.can_cast(array.dtype, dtype, "same_kind"):
        shape = ", ".join(map(str, ("n", *field.shape)))
        raise DataError(
            f"{named} is {_described(array)}: as a field of kind {field.kind} it must be "
            f"{dtype} [{shape}]"
        )
    if dtype.kind == "f" and not _is_finite(array, dtype):
        raise DataError(f"{named} has values that are not finite in {dtype}: remove those examples")
    fits = field.kind != "label" and np.can_cast(array.dtype, dtype)  # whatever its values are
    if dtype.kind in "iu" and not fits:
        least, most = np.iinfo(dtype).min, np.iinfo(dtype).max
        if field.kind == "label":
            least, most = 0, min(most, field.values - 1 if field.values > 0 else most)
        low, high = int(array.min()), int(array.max())
        if low < least or high > most:
            raise DataError(
                f"{named} has values from {low} to {high}: as a field of kind {field.kind} they "
                f"must be from {least} to {most}"
            )


def _is_finite(array: np.ndarray, dtype: np.dtype) -> bool:
    """Whether all elements are, when cast; few are looked at together, as there may be many."""
    step = max(1, _CHUNK // array[0].size)
    with np.errstate(over="ignore"):
        return all(
            np.isfinite(array[start : start + step].astype(dtype, copy=False)).all()
            for start in range(0, len(array), step)
        )


def _described(array: np.ndarray) -> str:
    return f"{array.dtype} {list(array.shape)}"
