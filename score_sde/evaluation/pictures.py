"""Pictures that are measured: those of a folder, or the samples of a samples.npz."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from score_sde import images
from score_sde.errors import UserError
from score_sde.formats import npz

_SUFFIXES = {".png", ".jpg", ".jpeg", ".webp"}


class Folder(Sequence[np.ndarray]):
    """The pictures of files, each read when it is asked for.

    Args:
        files: PNG, JPEG or WebP.
    """

    def __init__(self, files: Sequence[Path]):
        self.files = files

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> np.ndarray:
        """uint8 [height, width, 1 or 3]; UserError if the file cannot be read."""
        pixels = np.asarray(images.read(self.files[index]))
        return pixels if pixels.ndim == 3 else pixels[..., None]


def opened(path: Path) -> Sequence[np.ndarray]:
    """Pictures of any sizes.

    Args:
        path: a folder of PNG, JPEG or WebP files, of which sub-folders are passed over, or a
            samples.npz.

    Returns:
        Of each, as a rule, uint8 [height, width, channels].

    Raises:
        UserError: there are none.
    """
    if path.is_dir():
        try:
            files = sorted(file for file in path.iterdir() if file.suffix.lower() in _SUFFIXES)
        except OSError as error:
            raise UserError(f"cannot read the folder {path}: {error.strerror}") from error
        found: Sequence[np.ndarray] = Folder(files)
    elif path.is_file():
        with npz.opened(path, "a samples.npz") as arrays:
            if "samples" not in arrays:
                raise ValueError("it holds no samples")
            found = arrays["samples"]
            if not np.ndim(found):
                raise ValueError("its samples are one number")
    else:
        raise UserError(f"no file or folder {path}: draw samples first, with --mode=sample")
    if not len(found):
        raise UserError(
            f"{path} has no picture: draw some first, with --mode=sample (sub-folders of a folder "
            "are passed over)"
        )
    return found


def stacked(pictures: Iterable[np.ndarray], path: Path) -> np.ndarray:
    """Pictures of one size as one array, [n, height, width, channels].

    Raises:
        UserError: they are of several sizes; it names the path.
    """
    found = list(pictures)
    if len({picture.shape for picture in found}) > 1:
        raise UserError(f"{path} holds pictures of several sizes")
    return np.array(found)
