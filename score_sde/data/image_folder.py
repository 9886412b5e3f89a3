"""A folder of PNG, JPEG or WebP images as a data set with the field "image", perhaps "label"."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from score_sde import fields
from score_sde.data import decoding
from score_sde.data.base import DataError, Examples, Info, Source, SplitError

_SUFFIXES = {".png", ".jpg", ".jpeg", ".webp"}
_GREY = {"1", "L"}
_SPLITS = ("train", "test")
_HOLD_OUT = 10


def load(split: str, data_dir: str, image_size: int | None, crop: int | None = None) -> Source:
    """Finds the images under a folder, in the order of their paths.

    The split is the sub-folder of that name. Where neither train/ nor test/ exists, every tenth
    image is for testing and the rest for training. If all images lie in two or more sub-folders (of
    the split, if it is one), these are the classes. Names that begin with a dot are passed over.
    Greyscale only if every image is; else all are RGB.

    Args:
      split: "train" or "test".
      data_dir: the folder.
      image_size: side in pixels; None only if all images have the same size.
      crop: side of the square that is resized to it; None for the largest.

    Returns:
      The source; its name is "folder".

    Raises:
      DataError: if there is no such folder or split, no image, an unreadable image, or images of
        several sizes without `image_size`.
    """
    root = Path(data_dir).expanduser()
    if not root.is_dir():
        raise DataError(f"{root} is not a folder: give the folder of images with data_dir")
    if split not in _SPLITS:
        raise SplitError(f"a folder has no split {split!r}: use {', '.join(_SPLITS)}")
    parts = [name for name in _SPLITS if (root / name).is_dir()]
    if parts and split not in parts:
        raise SplitError(
            f"{root} has {parts[0]}/ but no {split}/: make that folder, or remove both"
        )

    # Classes are named over both splits, so that a label means the same in each.
    found = {name: _find(root / name) for name in parts} if parts else {"": _find(root)}
    names = _class_names([path for paths in found.values() for path in paths])
    paths = found[split] if parts else _held_out(found[""], split)
    base = root / split if parts else root
    if not paths:
        raise DataError(f"no PNG, JPEG or WebP image for split {split!r} under {base}")
    files = [base / path for path in paths]
    labels = [names.index(path.parts[0]) if names else -1 for path in paths]

    image = fields.image(_shape(files, image_size))
    label = (fields.label(len(names), tuple(names)),) if names else ()
    info = Info("folder", split, len(files), (image, *label))
    channels = image.shape[2]

    def read(indices: np.ndarray) -> Examples:
        pixels = [_decode(files[index], channels, image_size, crop) for index in indices]
        found = {"image": np.stack(pixels)}
        if names:
            found["label"] = np.array([labels[index] for index in indices], np.int32)
        return found

    return Source(info, read)


def _find(base: Path) -> list[Path]:
    """Paths of the images under a folder, relative to it, sorted."""
    found = []
    for folder, subfolders, names in os.walk(base, followlinks=True):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        relative = Path(folder).relative_to(base)
        found += [
            relative / name
            for name in names
            if not name.startswith(".") and Path(name).suffix.lower() in _SUFFIXES
        ]
    return sorted(found)


def _class_names(paths: list[Path]) -> list[str]:
    """Sub-folders of the first level, if all images lie in them and there are at least two."""
    if any(len(path.parts) == 1 for path in paths):
        return []
    names = sorted({path.parts[0] for path in paths})
    return names if len(names) > 1 else []


def _held_out(paths: list[Path], split: str) -> list[Path]:
    """Every tenth path for testing, the others for training."""
    testing = split == "test"
    return [path for i, path in enumerate(paths) if (i % _HOLD_OUT == _HOLD_OUT - 1) == testing]


def _shape(files: list[Path], image_size: int | None) -> tuple[int, int, int]:
    """(height, width, channels) of all images, from their headers.

    Every header is read even when the size is given: a broken file is then an error that names it
    at the start, not in the middle of a run, and channels are the same for all.
    """
    with ThreadPoolExecutor(min(16, (os.cpu_count() or 1) * 4)) as pool:
        headers = list(pool.map(_header, files))
    channels = 1 if all(mode in _GREY for _, mode in headers) else 3
    if image_size is not None:
        return (image_size, image_size, channels)
    sizes = sorted({size for size, _ in headers})
    if len(sizes) > 1:
        raise DataError(
            f"the images under {files[0].parent} differ in size "
            f"({_wxh(sizes[0])} to {_wxh(sizes[-1])}): give image_size"
        )
    width, height = sizes[0]
    return (height, width, channels)


def _wxh(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


def _header(file: Path) -> tuple[tuple[int, int], str]:
    """(width, height) and colour mode of an image file."""
    try:
        with Image.open(file) as image:
            return image.size, image.mode
    except OSError as error:
        raise DataError(f"{file} is not a readable image: remove or repair it") from error


def _decode(file: Path, channels: int, image_size: int | None, crop: int | None) -> np.ndarray:
    try:
        return decoding.decode(file, channels, image_size, crop)
    except OSError as error:
        raise DataError(f"{file} cannot be decoded ({error}): remove or repair it") from error
