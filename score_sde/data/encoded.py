"""Data sets of latents: what an autoencoder made of another set, in a folder.

    encoded.json               the fields and sizes of its splits, sealed; see stored
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

from score_sde import files
from score_sde.data import stored
from score_sde.data.base import DataError, Info, Source
from score_sde.files import expanded

NAME = "encoded"
AUTOENCODER = "autoencoder.safetensors"


def write_index(folder: Path, splits: Mapping[str, Info], about: Mapping[str, Any]) -> None:
    """Write what the arrays of a folder are, which makes it a data set; see stored.write_index."""
    stored.write_index(folder / f"{NAME}.json", splits, about)


def new(path: str | os.PathLike, name: str, given: object, ending: str) -> Path:
    """Where a set is to be made of the user's own files.

    Args:
      path: of the folder; ~ is the home directory.
      name: of what is made, and of the option that names the folder of the files.
      given: that option.
      ending: of the files.

    Raises:
      DataError: the option is None.
      UserError: something else than a set is there, or the folder cannot be written.
    """
    if given is None:
        raise DataError(
            f"{name} are made of files *.{ending}: python -m score_sde.data prepare {name} "
            f"--{name}=FOLDER --data_dir=NEW_FOLDER"
        )
    folder = expanded(path)
    if not (folder / f"{NAME}.json").exists():  # which stored.write compares
        files.check_new(folder, "Give another --data_dir")
    return folder


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
    missing = f"{folder} is no data set of latents: make one with python -m score_sde.data encode"
    again = "make it again with score_sde.data encode"
    return stored.load(folder, NAME, split, missing, again)
