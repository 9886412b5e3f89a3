"""What is known of common data sets without having them: an imported network needs no images."""

from __future__ import annotations

import dataclasses
from typing import Any

from score_sde import fields
from score_sde.data import moving_digits
from score_sde.data.base import DataError, Info
from score_sde.data.first_frames import described
from score_sde.data.load import is_as_it_is, load

# (height, width, channels), None where the images differ in size; classes; levels.
_KNOWN: dict[str, tuple[tuple[int | None, int | None, int], int, int]] = {
    "digits": ((8, 8, 1), 10, 17),
    "mnist": ((28, 28, 1), 10, 256),
    "fashion_mnist": ((28, 28, 1), 10, 256),
    "cifar10": ((32, 32, 3), 10, 256),
    "cifar100": ((32, 32, 3), 100, 256),
    "svhn_cropped": ((32, 32, 3), 10, 256),
    "celeb_a": ((218, 178, 3), 0, 256),
    "lsun/bedroom": ((None, None, 3), 0, 256),
    "lsun/church_outdoor": ((None, None, 3), 0, 256),
    "celeb_a_hq/256": ((256, 256, 3), 0, 256),
    "celeb_a_hq/1024": ((1024, 1024, 3), 0, 256),
    "imagenet_resized/64x64": ((64, 64, 3), 1000, 256),
}

# Sets whose fields are in the code that makes them.
_MADE = {"digits_video": moving_digits.FIELDS}


def describe(name: str, *, image_size: int | None = None, **options: Any) -> Info:
    """The description of a data set that may not be there, as `load` would give its training split.

    Sets in a short table of this file are never looked for. Any other is opened if it is there;
    if it is not, its images are taken for square ones with three channels and no classes.

    Args:
      name: see `load`.
      image_size: see `load`.
      **options: the others of `load`.

    Returns:
      The description; its size is 0 and its classes have no names if the set was not opened.

    Raises:
      DataError: the size of the images cannot be known.
    """
    if is_as_it_is(name):
        return load(name, "train", image_size=image_size, **options).info
    if name in _MADE and image_size is None:
        nameless = (dataclasses.replace(field, names=()) for field in _MADE[name])
        info = Info(name, "train", 0, tuple(nameless))
        number = options.get("first_frames", 0)
        return described(info, number) if number else info
    if name not in _KNOWN:
        try:
            return load(name, "train", image_size=image_size, **options).info
        except DataError as error:
            if image_size is None:
                raise DataError(
                    f"{error}. To describe {name} without it, give config.data.image_size"
                ) from error
            return Info(name, "train", 0, (fields.image((image_size, image_size, 3)),))
    (height, width, channels), classes, levels = _KNOWN[name]
    if image_size is None or (height, width) == (image_size, image_size):
        if height is None or width is None:
            raise DataError(f"the images of {name} differ in size: give config.data.image_size")
        image = fields.image((height, width, channels), levels)
    else:
        image = fields.image((image_size, image_size, channels))
    return Info(name, "train", 0, (image, *([fields.label(classes)] if classes else [])))
