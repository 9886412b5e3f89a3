"""Data sets of latents: what an autoencoder made of another set, in a folder.

    encoded.json               the fields and sizes of its splits, sealed; see records
    autoencoder.safetensors    what made them, and makes images of latents again; see parts
    train/latent.npy, ...      an array a field, which is mapped: it may be larger than memory

`python -m score_sde.data encode` writes one. The field latent is of kind "gaussian", mean and
standard deviation of q(z | x), of which each use draws another z; or of kind "latent", the mean.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from score_sde import files, records
from score_sde.data.base import DataError, Examples, Info, Source, SplitError
from score_sde.errors import first_line
from score_sde.files import expanded

NAME = "encoded"
INDEX = f"{NAME}.json"
AUTOENCODER = "autoencoder.safetensors"


def write_index(folder: Path, splits: Mapping[str, Info], about: Mapping[str, Any]) -> None:
    """Write what the arrays of a folder are, which makes it a data set.

    Args:
        folder: which has the arrays.
        splits: what each split is.
        about: what else there is to know, JSON values: "note" and "license" are shown.

    Raises:
        OSError: it cannot be written.
    """
    values = {"splits": {name: info.to_json() for name, info in splits.items()}, **about}
    files.write_json(folder / INDEX, records.sealed(values))


def load(path: str | os.PathLike, split: str = "train") -> Source:
    """Opens a folder of latents. Nothing in it is executed.

    Args:
      path: of the folder; ~ is the home directory.
      split: "train" or "test".

    Returns:
      The source; its name is "encoded".

    Raises:
      DataError: there is no such folder, or it is damaged.
      SplitError: there is no such split.
    """
    folder = expanded(path)
    try:
        values = records.read(folder / INDEX)
        if values is None:
            raise DataError(
                f"{folder} is no data set of latents: make one with python -m score_sde.data encode"
            )
        values = records.unsealed(values)
        splits = dict(values["splits"])
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(folder / INDEX, error) from error
    if split not in splits:
        raise SplitError(f"{folder} has no split {split!r}: use {', '.join(splits)}")
    info = Info.from_json(splits[split])
    arrays = {field.name: _mapped(folder / split / f"{field.name}.npy") for field in info.fields}
    for field in info.fields:
        expected = ((info.size, *field.shape), np.dtype(field.dtype))
        if (arrays[field.name].shape, arrays[field.name].dtype) != expected:
            raise _damaged(folder / split / f"{field.name}.npy", "it is another array")

    def read(indices: np.ndarray) -> Examples:
        return {name: np.asarray(array[indices]) for name, array in arrays.items()}

    said = {name: str(values.get(name, "")) for name in ("note", "license")}
    return Source(info, read, cache_bytes=0, **said)


def _mapped(path: Path) -> np.ndarray:
    try:
        files.regular(path).close()
        return np.lib.format.open_memmap(path, mode="r")
    except (OSError, ValueError) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: object) -> DataError:
    reason = first_line(error) if isinstance(error, Exception) else error
    return DataError(f"{path} is damaged ({reason}): make it again with score_sde.data encode")
