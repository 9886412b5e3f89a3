"""A folder of PNG, JPEG or WebP images as a data set with the field "image", perhaps "label"."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from score_sde import fields, images
from score_sde.data import decoding
from score_sde.data.base import DataError, Examples, Info, Source, SplitError, digest
from score_sde.data.decoding import ImageOptions
from score_sde.data.find_files import find_files
from score_sde.data.survey import note, survey
from score_sde.errors import UserError
from score_sde.files import expanded

_SUFFIXES = {".png", ".jpg", ".jpeg", ".webp"}
_SPLITS = ("train", "test")
_HOLD_OUT = 10

# A file: its path, its size in bytes and the time of its last change; -1 and 0 if it is not there.
_Stamp = tuple[Path, int, int]


def load(split: str, data_dir: str, options: ImageOptions) -> Source:
    """Finds the images under a folder, in the order of their paths.

    The split is the sub-folder of that name. Where neither train/ nor test/ exists, every tenth
    image is for testing and the rest for training; of fewer than ten, all are. If all images lie in
    two or more sub-folders (of the split, if it is one), these are the classes. Names that begin
    with a dot are passed over, and a file to which several symbolic links lead counts once.
    Channels and size are the same for both splits: grey only if every image is.

    Args:
      split: "train" or "test".
      data_dir: the folder.
      options: what is done with the images; without `size` all must have the same.

    Returns:
      The source; its name is "folder".

    Raises:
      DataError: if there is no such folder or split, no image, an unreadable image, or images of
        several sizes without `size`.
    """
    root = expanded(data_dir)
    if not root.is_dir():
        raise DataError(f"{root} is not a folder: give the folder of images with data_dir")
    if split not in _SPLITS:
        raise SplitError(f"a folder has no split {split!r}: use {', '.join(_SPLITS)}")
    parts = [name for name in _SPLITS if (root / name).is_dir()]
    if parts and split not in parts:
        raise SplitError(
            f"{root} has {parts[0]}/ but no {split}/: make that folder, or remove both"
        )

    # Classes, channels and sizes are those of both splits, so that they mean the same in each.
    found = {name: find_files(root / name, _SUFFIXES) for name in parts or ("",)}
    _check_apart(root, found)
    names = _class_names([path for paths in found.values() for path in paths])
    stamps = {name: [_stamp(root / name / path) for path in found[name]] for name in found}
    everything = tuple(stamp for part in stamps.values() for stamp in part)
    headers = dict(zip(everything, _headers(everything, options), strict=True))

    base = root / (split if parts else "")
    chosen = stamps[split] if parts else _held_out(root, stamps[""], split)
    kept = [stamp for stamp in chosen if not isinstance(headers[stamp], UserError)]
    if not kept:
        what = "undamaged " if chosen else ""
        raise DataError(f"no {what}PNG, JPEG or WebP image for split {split!r} under {base}")
    files = [file for file, _, _ in kept]
    paths = [file.relative_to(base) for file in files]
    labels = [names.index(path.parts[0]) if names else -1 for path in paths]

    image = fields.image(_shape(root, list(headers.values()), options.size))
    label = (fields.label(len(names), tuple(names)),) if names else ()
    # Of names and sizes: reading all files would take as long as an epoch.
    about = (f"{path.as_posix()} {size}" for path, (_, size, _) in zip(paths, kept, strict=True))
    info = Info("folder", split, len(files), (image, *label), digest(about))

    def read(indices: np.ndarray) -> Examples:
        pixels = [decoding.decode(files[index], image.shape, options) for index in indices]
        found = {"image": np.stack(pixels)}
        if names:
            found["label"] = np.array([labels[index] for index in indices], np.int32)
        return found

    return Source(info, read, note=note([headers[stamp] for stamp in chosen]))


def _check_apart(root: Path, found: dict[str, dict[Path, str]]) -> None:
    """Raises a DataError if a file is in two splits."""
    places: dict[str, Path] = {}
    for name, paths in found.items():
        for path, real in paths.items():
            if real in places:
                raise DataError(
                    f"{root / name / path} is {root / places[real]}: images that are held out must "
                    "be others"
                )
            places[real] = Path(name, path)


def _stamp(file: Path) -> _Stamp:
    try:
        about = file.stat()
    except OSError:  # a broken link; looking at it will say so
        return file, -1, 0
    return file, about.st_size, about.st_mtime_ns


def _class_names(paths: list[Path]) -> list[str]:
    """Sub-folders of the first level, if all images lie in them and there are at least two."""
    if any(len(path.parts) == 1 for path in paths):
        return []
    names = sorted({path.parts[0] for path in paths})
    return names if len(names) > 1 else []


def _held_out(root: Path, stamps: list[_Stamp], split: str) -> list[_Stamp]:
    """Every tenth for testing, the others for training."""
    testing = split == "test"
    if testing and 0 < len(stamps) < _HOLD_OUT:
        raise SplitError(
            f"{root} has {len(stamps)} images, of which every tenth is held out, so none is: make "
            "train/ and test/ in it"
        )
    return [one for i, one in enumerate(stamps) if (i % _HOLD_OUT == _HOLD_OUT - 1) == testing]


@functools.lru_cache(maxsize=1)  # the next split asks for the same
def _headers(
    stamps: tuple[_Stamp, ...], options: ImageOptions
) -> Sequence[images.Header | UserError]:
    """The header of each file.

    Every header is read even when the size is given: a broken file is then an error that names it
    at the start, not in the middle of a run. Whether the rest is whole, only decoding says.
    """

    def look(stamp: _Stamp) -> images.Header:
        file, color = stamp[0], options.color
        try:
            found = images.header(file, background=color)
            if options.skip_damaged:
                images.read(file, background=color)
        except images.ImageError as error:
            hint = "" if options.skip_damaged else f": {decoding.REPAIR}"
            raise DataError(f"{error}{hint}") from error
        return found

    return survey(look, stamps, options.skip_damaged)


def _shape(
    root: Path, headers: Sequence[images.Header | UserError], size: int | None
) -> tuple[int, int, int]:
    """(height, width, channels) of all images."""
    whole = [header for header in headers if isinstance(header, images.Header)]
    channels = max(header.channels for header in whole)
    if size is not None:
        return (size, size, channels)
    sizes = sorted({header.size for header in whole})
    if len(sizes) > 1:
        raise DataError(
            f"the images under {root} differ in size "
            f"({_wxh(sizes[0])} to {_wxh(sizes[-1])}): {decoding.GIVE_SIZE}"
        )
    width, height = sizes[0]
    return (height, width, channels)


def _wxh(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
