"""The one door to all data sets. What reads them is imported only when a set is opened."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from score_sde.data import (
    arrays,
    backbone64,
    chorales,
    encoded,
    notes,
    qm9,
    sounds,
    speech,
    texts,
    toy,
    words,
)
from score_sde.data.base import DataError, Source
from score_sde.data.chosen import chosen
from score_sde.data.decoding import ImageOptions
from score_sde.data.first_frames import with_first_frames
from score_sde.data.furniture import depth as furniture_depth
from score_sde.data.furniture import points as furniture_points
from score_sde.files import expanded

Open = Callable[[str], Source]
DataDir = str | os.PathLike[str] | None

# Sets that are what lies at data_dir.
BY_PATH = ("folder", "arrays", "encoded", "words", "chorales")

# What is registered here has been in the memory of one process, and no recipe makes it again.
IN_MEMORY = "given"

_REGISTERED: dict[str, Open] = {}


def load(
    name: str,
    split: str = "train",
    *,
    data_dir: DataDir = None,
    image_size: int | None = None,
    crop: int | None = None,
    background: str = "white",
    skip_damaged: bool = False,
    only: Sequence[str] = (),
    first_frames: int = 0,
) -> Source:
    """Opens a data set for random access; TensorFlow is never imported.

    Args:
      name: "digits", "digits_rgb" or "digits_video" (built on first use, no download); "folder"
        (the images under `data_dir`); "arrays" (the .npz or .npy file `data_dir`); "encoded"
        (latents in the folder `data_dir`); "words" (the list of words `data_dir`, by default that
        of the Debian package wamerican); "chorales" (those of the package music21, its file or a
        folder `data_dir`); "moons", "spirals" or "gaussians"
        (points of the plane); a name that `register` was given; one of MADE, "emoji" or any set of
        tensorflow-datasets, such as "cifar10", prepared before by
        `python -m score_sde.data prepare cifar10`.
      split: "train", "test" or what the set has; TFDS sets take slices such as "train[:1000]".
      data_dir: TFDS folder, by default $TFDS_DATA_DIR or ~/tensorflow_datasets; or the folder of
        images, or the file of arrays.
      image_size: side in pixels of the images to give: images of another size are cropped to the
        largest central square and resized (by area when smaller, bicubic when larger). None keeps
        the set's own size, which must then be the same for all images.
      crop: side in pixels of the central square to crop to, before resizing to image_size, in place
        of the largest one.
      background: what is behind transparent pixels: "white", "black" or "#rrggbb".
      skip_damaged: leave out images that cannot be read, and say so in `source.note`; else they are
        errors. To know which, all are decoded here once.
      only: which examples: "FIELD=CLASS" each, see `chosen`. Then all are decoded here once.
      first_frames: of videos, give the first so many as the field "first_frames" too; 0: no.

    Returns:
      A source: `len(source)`, `source[i]`, `source.gather(indices)`, `source.info`.

    Raises:
      DataError: a one-line message that says what to do.
    """
    options = ImageOptions(image_size, crop, background, skip_damaged)
    whole = _whole(name, split, data_dir, options)
    some = chosen(whole, only) if only else whole
    return with_first_frames(some, first_frames) if first_frames else some


def _whole(name: str, split: str, data_dir: DataDir, options: ImageOptions) -> Source:
    """Every example of a split."""
    if is_as_it_is(name) and options != ImageOptions():
        raise DataError(
            f"the examples of {name} are taken as they are: leave out image_size, crop, "
            "background and skip_damaged"
        )
    if name in _REGISTERED:
        return _REGISTERED[name](split)
    if name == IN_MEMORY:
        raise DataError(
            "the examples of this run were in memory, where they are no more. To train it further, "
            "call score_sde.train with them again; else save them, by numpy.savez, and give "
            "--config.data.name=arrays --config.data.dir=FILE.npz"
        )
    if name in _AS_THEY_ARE:
        source: Source = _AS_THEY_ARE[name](split, data_dir)
        return source
    if name in MADE:
        made: Source = MADE[name].load(Path(_tfds_dir(data_dir), name), split)
        return made
    if name == "folder":
        from score_sde.data import image_folder

        if data_dir is None:
            raise DataError(
                "a folder of images needs its path as data_dir (--data_dir=DIR of python -m "
                "score_sde.data, --config.data.dir=DIR of a run)"
            )
        return image_folder.load(split, os.fspath(data_dir), options)
    from score_sde.data import tfds_source

    return tfds_source.load(name, split, _tfds_dir(data_dir), options, _ours())


def register(name: str, open: Open) -> None:
    """Gives a data set a name, by which a config can then ask for it.

    A recipe calls this as it is executed, beside the config that names the set. Nothing is ever
    looked up by a name in a file other than in the dictionary that this fills: no module is
    imported and no attribute is fetched because a config says so. A config comes with a checkpoint
    from anyone, and reading one must not choose what code runs; what is in the dictionary is there
    because the user ran the recipe that registered it.

    Args:
      name: letters, digits, "_" and "-"; registering it again replaces the former. It comes before
        a set of tensorflow-datasets of the same name.
      open: open(split) gives the source of that split, or raises SplitError.

    Raises:
      ValueError: the name has another character, as a path would, or is that of a set that
        comes with the package.
    """
    if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
        raise ValueError(
            f"cannot register {name!r}: a name is of letters, digits, _ and -, and no path"
        )
    taken = needs()
    if name in taken:
        raise ValueError(
            f"cannot register {name!r}: {', '.join(taken)} have a meaning, use another name"
        )
    _REGISTERED[name] = open


def prepare(name: str, *, data_dir: DataDir = None, **options: Any) -> str:
    """Downloads a TFDS set, or makes one of MADE or the emoji, in the format that `load` reads.

    A set that is read as it is, see `is_read_as_it_is`, is opened, so that what it lacks is said.

    Args:
      name: TFDS name, "digits", "digits_rgb", "digits_video", "emoji", one of MADE or OF_FILES, or
        a set that is read as it is.
      data_dir: TFDS folder, by default $TFDS_DATA_DIR or ~/tensorflow_datasets; of OF_FILES the
        folder that is made, by default data/NAME; of a set that is read as it is, as of `load`.
      **options: of emoji and of OF_FILES, see `prepare` of their modules; "source" of a set of
        MADE, what it is made from.

    Returns:
      The folder; of a set that is read as it is, where from, "" if from no file.

    Raises:
      DataError: a one-line message that says what to do.
    """
    if is_read_as_it_is(name):
        if options:
            where = ", of the path that is data_dir (--data_dir=PATH)" if name in BY_PATH else ""
            raise DataError(f"{name} is read as it is{where}: leave out {_flags(options)}")
        found = load(name, data_dir=data_dir)
        return found.place or (str(data_dir) if data_dir and name in BY_PATH else "")
    if name == "emoji":
        from score_sde.data import emoji

        emoji.prepare(_tfds_dir(data_dir), **options)
        return _tfds_dir(data_dir)
    if name in MADE and options.keys() <= {"source"}:
        MADE[name].prepare(Path(_tfds_dir(data_dir), name), **options)
        return _tfds_dir(data_dir)
    if name in OF_FILES:
        if strange := sorted(options.keys() - OF_FILES[name].OPTIONS):
            raise DataError(f"{name} are made without: leave out {_flags(strange)}")
        said: str = OF_FILES[name].prepare(data_dir or f"data/{name}", **options)
        return said
    if options:
        raise DataError(f"{name} is prepared as it is: leave out {_flags(options)}")
    from score_sde.data import tfds_source

    tfds_source.prepare(name, _tfds_dir(data_dir), _ours())
    return _tfds_dir(data_dir)


def needs() -> dict[str, str]:
    """What each set that comes with the code is made of, in words, by its name."""
    packages = {**MADE, "words": words, "chorales": chorales, **OF_FILES}
    return _ELSE | {name: module.NEEDS for name, module in packages.items()}


def _ours() -> tuple[str, ...]:
    """The names that are none of tensorflow-datasets."""
    return *needs(), *_REGISTERED


def is_registered(name: str) -> bool:
    """Whether `register` was given this name."""
    return name in _REGISTERED


def is_as_it_is(name: str) -> bool:
    """Whether the examples of a set are never cropped or resized."""
    return is_registered(name) or name in (*_AS_THEY_ARE, *MADE, IN_MEMORY)


def is_read_as_it_is(name: str) -> bool:
    """Whether a set needs no preparation: it is registered, made up, or what lies somewhere."""
    return name not in MADE and (is_as_it_is(name) or name in BY_PATH)


def lies_in_a_folder(name: str) -> bool:
    """Whether a set is looked for where data_dir says, or below."""
    return not is_as_it_is(name) or name in (*BY_PATH, *MADE)


def _arrays(split: str, data_dir: DataDir) -> Source:
    if data_dir is None:
        raise DataError("arrays need data_dir, the path of an .npz or .npy file")
    return arrays.load(data_dir, split)


def _encoded(split: str, data_dir: DataDir) -> Source:
    if data_dir is None:
        raise DataError(
            "encoded data need data_dir (config.data.dir), the folder that encode, prepare texts "
            "or prepare sounds of python -m score_sde.data wrote"
        )
    return encoded.load(data_dir, split)


def _words(split: str, data_dir: DataDir) -> Source:
    return words.load(data_dir, split)


def _chorales(split: str, data_dir: DataDir) -> Source:
    return chorales.load(data_dir, split)


def _made(name: str, split: str, data_dir: DataDir) -> Source:
    return toy.load(name, split)


# Sets whose images, if they have any, are not cropped or resized.
_AS_THEY_ARE: dict[str, Callable[[str, DataDir], Source]] = {
    "arrays": _arrays,
    "encoded": _encoded,
    "words": _words,
    "chorales": _chorales,
    **{name: functools.partial(_made, name) for name in toy.SETS},
}


# Sets that are made of what is installed, or of a file of the user's: modules with `prepare(folder,
# source)` and `load(folder, split)`.
MADE: dict[str, ModuleType] = {
    "notes": notes,
    "furniture_points": furniture_points,
    "furniture_depth": furniture_depth,
    "qm9": qm9,
    "backbone64": backbone64,
    "speech": speech,
}

# Sets that are made of the user's own files, and read as "encoded": modules with
# `prepare(folder, **OPTIONS)`.
OF_FILES: dict[str, ModuleType] = {texts.NAME: texts, sounds.NAME: sounds}

# What other sets are made of.
_ELSE = {
    **dict.fromkeys(("digits", "digits_rgb"), "nothing more: scikit-learn has them"),
    "digits_video": "nothing more: digits of scikit-learn, moved",
    **dict.fromkeys(toy.SETS, "nothing more: points of the plane, made up"),
    "emoji": 'pip install "score_sde[emoji]"',
    "folder": "--data_dir=FOLDER, of images",
    "arrays": "--data_dir=FILE, .npz or .npy",
    "encoded": "--data_dir=FOLDER, as python -m score_sde.data encode writes it",
}


def _flags(options: Iterable[str]) -> str:
    """Options by their names, beside the flag of one that has another."""
    return ", ".join(f"{name} (--from)" if name == "source" else name for name in options)


def _tfds_dir(data_dir: DataDir) -> str:
    chosen = data_dir or os.environ.get("TFDS_DATA_DIR") or Path("~") / "tensorflow_datasets"
    return str(expanded(chosen))
