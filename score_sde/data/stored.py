"""Data sets that lie in a folder as arrays, with a file that says what they are.

NAME.json                 the fields and sizes of its splits, sealed; see records
train/signal.npy, ...     an array a field, which is mapped: it may be larger than memory
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from score_sde import files, records
from score_sde.data import arrays
from score_sde.data.base import DataError, Examples, Info, Source, SplitError
from score_sde.errors import first_line
from score_sde.fields import Field

_ADVICE = "Give another --data_dir"


def write(
    folder: Path,
    name: str,
    fields: tuple[Field, ...],
    splits: Mapping[str, Mapping[str, np.ndarray]],
    **about: str,
) -> None:
    """Write a set whole or not at all; one that is there already, of the same examples, is left.

    Args:
        folder: that is made.
        name: of the set.
        fields: of an example.
        splits: by name, an array a field.
        **about: what else there is to know: "note" and "license" are shown.

    Raises:
        DataError: the arrays are not of the fields, or another set is there.
        UserError: something else is there, or the folder cannot be written.
    """
    infos = {
        split: arrays.source(splits, name=name, split=split, fields=fields).info for split in splits
    }
    if (folder / f"{name}.json").exists():
        there = _index(folder, name, f"remove {folder}")
        made = {split: info.to_json() for split, info in infos.items()}
        if there is not None and there["splits"] == json.loads(json.dumps(made)):
            return
        raise DataError(f"{folder} holds another data set already: give another --data_dir")
    with files.making(folder, _ADVICE) as partial:
        for split, values in splits.items():
            (partial / split).mkdir()
            for field in fields:
                array = np.asarray(values[field.name])
                np.save(partial / split / f"{field.name}.npy", array.astype(field.dtype))
        write_index(partial / f"{name}.json", infos, about)


def write_index(path: Path, splits: Mapping[str, Info], about: Mapping[str, Any]) -> None:
    """Write what the arrays beside a file are, which makes them a data set.

    Args:
        path: of the file.
        splits: what each split is.
        about: what else there is to know, JSON values: "note" and "license" are shown.

    Raises:
        OSError: it cannot be written.
    """
    values = {"splits": {name: info.to_json() for name, info in splits.items()}, **about}
    files.write_json(path, records.sealed(values))


def load(folder: Path, name: str, split: str, missing: str, again: str) -> Source:
    """Opens a set. Nothing in it is executed.

    Args:
      folder: that has it.
      name: of the set.
      split: "train", "test" or what it has.
      missing: what an error says where there is none.
      again: what an error says of how it is made again.

    Returns:
      The source.

    Raises:
      DataError: there is no such set, or it is damaged.
      SplitError: there is no such split.
    """
    values = _index(folder, name, again)
    if values is None:
        raise DataError(missing)
    splits = values["splits"]
    if split not in splits:
        raise SplitError(f"{folder} has no split {split!r}: use {', '.join(splits)}")
    info = Info.from_json(splits[split])
    mapped = {}
    for field in info.fields:
        path = folder / split / f"{field.name}.npy"
        mapped[field.name] = _mapped(path, again)
        expected = ((info.size, *field.shape), np.dtype(field.dtype))
        if (mapped[field.name].shape, mapped[field.name].dtype) != expected:
            raise _damaged(path, "it is another array", again)

    def read(indices: np.ndarray) -> Examples:
        return {name: np.asarray(array[indices]) for name, array in mapped.items()}

    said = {name: str(values.get(name, "")) for name in ("note", "license")}
    return Source(info, read, cache_bytes=0, **said)


def _index(folder: Path, name: str, again: str) -> dict[str, Any] | None:
    """What the file of a set says, with "splits"; None if there is none."""
    index = folder / f"{name}.json"
    try:
        values = records.read(index)
        if values is None:
            return None
        return {**values, "splits": dict(records.unsealed(values)["splits"])}
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(index, error, again) from error


def load_prepared(folder: Path, name: str, split: str, made_from: str = "") -> Source:
    """Opens a set that the command `prepare` wrote; see load.

    Args:
      folder: that has it, of the name of the set.
      name: of the set.
      split: "train", "test" or what it has.
      made_from: what the command needs beside the name, as "--from=FILE".
    """
    where = f"--data_dir={shlex.quote(str(folder.parent))}"
    words = ("python -m score_sde.data prepare", name, made_from, where)
    command = " ".join(filter(None, words))
    missing = f"{name} is not prepared in {folder}: run {command}"
    if os.path.lexists(folder):  # where the command would end with the same line
        missing = (
            f"{folder} is there, and is no data set {name}: give another --data_dir, or remove it "
            f"and run {command}"
        )
    return load(folder, name, split, missing, f"remove {folder} and run {command}")


def ready(folder: Path, name: str, made_from: str = "") -> bool:
    """Whether a set was prepared before; if not, its folder can be made.

    Args:
      folder: as of load_prepared, with name and made_from.
      name: as there.
      made_from: as there.

    Raises:
      DataError: something else is there, or a damaged set.
      UserError: the folder cannot be written, which is said before the work for it.
    """
    if os.path.lexists(folder):
        load_prepared(folder, name, "train", made_from)
        return True
    files.check_new(folder, _ADVICE)
    return False


def _mapped(path: Path, again: str) -> np.ndarray:
    try:
        files.regular(path).close()
        return np.lib.format.open_memmap(path, mode="r")
    except (OSError, ValueError) as error:
        raise _damaged(path, error, again) from error


def _damaged(path: Path, error: object, again: str) -> DataError:
    reason = first_line(error) if isinstance(error, Exception) else error
    return DataError(f"{path} is damaged ({reason}): {again}")
