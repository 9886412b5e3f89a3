"""The one door to all data sets. What reads them is imported only when a set is opened."""

import os
from pathlib import Path

from score_sde.data import arrays, toy
from score_sde.data.base import DataError, Source

# Sets that are what lies at data_dir.
BY_PATH = ("folder", "arrays")


def load(
    name: str,
    split: str = "train",
    *,
    data_dir: str | os.PathLike | None = None,
    image_size: int | None = None,
    crop: int | None = None,
) -> Source:
    """Opens a data set for random access; TensorFlow is never imported.

    Args:
      name: "digits" or "digits_rgb" (built on first use, no download); "folder" (the images under
        `data_dir`); "arrays" (the .npz or .npy file `data_dir`); "moons", "spirals" or "gaussians"
        (points of the plane); a name that `arrays.register` was given; or any set of
        tensorflow-datasets, such as "cifar10", prepared before by `python -m score_sde.data prepare
        cifar10`.
      split: "train", "test" or what the set has; TFDS sets take slices such as "train[:1000]".
      data_dir: TFDS folder, by default $TFDS_DATA_DIR or ~/tensorflow_datasets; or the folder of
        images, or the file of arrays.
      image_size: side in pixels of the images to give: images of another size are cropped to the
        largest central square and resized (by area when smaller, bicubic when larger). None keeps
        the set's own size, which must then be the same for all images.
      crop: side in pixels of the central square to crop to, before resizing to image_size, in place
        of the largest one.

    Returns:
      A source: `len(source)`, `source[i]`, `source.gather(indices)`, `source.info`.

    Raises:
      DataError: a one-line message that says what to do.
    """
    if image_size is not None and image_size < 1:
        raise DataError(f"image_size is {image_size}: give a number of pixels, at least 1")
    if crop is not None and (crop < 1 or image_size is None):
        raise DataError(f"crop is {crop}: give a number of pixels, at least 1, and image_size")
    if (opened := arrays.registered(name)) is not None:
        return opened(split)
    if name in toy.SETS:
        return toy.load(name, split)
    if name == "arrays":
        if data_dir is None:
            raise DataError("arrays need data_dir, the path of an .npz or .npy file")
        return arrays.load(Path(os.path.expanduser(data_dir)), split)
    if name == "folder":
        from score_sde.data import image_folder

        if data_dir is None:
            raise DataError("a folder of images needs data_dir, the path of that folder")
        return image_folder.load(split, os.fspath(data_dir), image_size, crop)
    from score_sde.data import tfds_source

    return tfds_source.load(name, split, _tfds_dir(data_dir), image_size, crop)


def prepare(name: str, *, data_dir: str | os.PathLike | None = None) -> str:
    """Downloads a TFDS set and writes it in the format that `load` reads.

    Args:
      name: TFDS name, "digits" or "digits_rgb".
      data_dir: TFDS folder, by default $TFDS_DATA_DIR or ~/tensorflow_datasets.

    Returns:
      The TFDS folder.

    Raises:
      DataError: a one-line message that says what to do.
    """
    if name in BY_PATH or name in toy.SETS or arrays.registered(name) is not None:
        raise DataError(f"{name} needs no preparation")
    from score_sde.data import tfds_source

    tfds_source.prepare(name, _tfds_dir(data_dir))
    return _tfds_dir(data_dir)


def _tfds_dir(data_dir: str | os.PathLike | None) -> str:
    chosen = data_dir or os.environ.get("TFDS_DATA_DIR") or Path("~") / "tensorflow_datasets"
    return os.path.expanduser(chosen)
