"""Encoded images -> uint8 arrays of one shape: what `data.image_size` and its neighbours say."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from score_sde import images
from score_sde.data.base import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

REPAIR = "remove or repair it, or give skip_damaged (--config.data.skip_damaged=True)"
GIVE_SIZE = "give --config.data.image_size=N (--image_size=N of python -m score_sde.data)"


@dataclasses.dataclass(frozen=True)
class ImageOptions:
    """What is done with the images of a set; see `score_sde.data.load`.

    Attributes:
      size: side in pixels; None keeps an image as it is.
      crop: side of the central square that is cropped before, in pixels; None for the largest one.
      background: behind transparent pixels: white, black or #rrggbb.
      skip_damaged: whether images that cannot be read are left out.

    Raises:
      DataError: a value cannot work.
    """

    size: int | None = None
    crop: int | None = None
    background: str = "white"
    skip_damaged: bool = False

    def __post_init__(self) -> None:
        if self.size is not None and self.size < 1:
            raise DataError(f"image_size is {self.size}: give a number of pixels, at least 1")
        if self.crop is not None and (self.crop < 1 or self.size is None):
            raise DataError(
                f"crop is {self.crop}: give a number of pixels, at least 1, and image_size"
            )
        try:
            images.color(self.background)
        except ValueError as error:
            raise DataError(f"background: {error}") from error

    @property
    def color(self) -> images.Color:
        """The background as red, green and blue, 0 to 255."""
        return images.color(self.background)


def decode(
    encoded: bytes | Path, shape: tuple[int, int, int], options: ImageOptions, name: str = ""
) -> np.ndarray:
    """Decodes one image, then crops and resizes it if need be.

    Args:
      encoded: the bytes of a PNG, JPEG or WebP file, or its path.
      shape: (height, width, channels) to give; one channel is grey, three are RGB.
      options: `size` and `crop` are applied, if they are given.
      name: what an error calls the image; its path if empty.

    Returns:
      uint8 [height, width, channels].

    Raises:
      DataError: it is no readable image, or of another shape.
    """
    name = name or str(encoded)
    try:
        image = images.read(encoded, name, options.color)
    except images.ImageError as error:
        raise DataError(f"{error}: {REPAIR}") from error
    image = image.convert("L" if shape[2] == 1 else "RGB")
    if options.size is not None:
        image = fit(image, options.size, options.crop)
    height, width, _ = shape
    if image.size != (width, height):
        raise DataError(
            f"{name} is {image.width}x{image.height}, not {width}x{height} as it was said to be: "
            f"{GIVE_SIZE}"
        )
    return np.asarray(image).reshape(shape)


def fit(image: Image, size: int, crop: int | None = None) -> Image:
    """Crops a central square and resizes it to size x size.

    Downscaling averages over each output pixel's area (Pillow's BOX filter): no aliasing, no
    ringing, and pixels stay within the range of the input. Upscaling is bicubic. An image of the
    right size is returned untouched.

    Args:
      image: any image.
      size: side of the result, in pixels.
      crop: side of the square in pixels; None, or more than the image has, for the largest one.

    Returns:
      The image, size x size.
    """
    from PIL.Image import Resampling

    side = min(*image.size, crop or math.inf)
    if image.size == (size, size) == (side, side):
        return image
    left, top = (image.width - side) // 2, (image.height - side) // 2
    resample = Resampling.BOX if size <= side else Resampling.BICUBIC
    # Cropped first: the `box` of Pillow's resize lets pixels from outside it in.
    square = image.crop((left, top, left + side, top + side))
    return square.resize((size, size), resample)
