"""Encoded image bytes or files -> uint8 arrays of one shape, with Pillow."""

import io
import math
from pathlib import Path

import numpy as np
from PIL import Image

_MODES = {1: "L", 3: "RGB"}


def decode(
    encoded: bytes | Path, channels: int, size: int | None, crop: int | None = None
) -> np.ndarray:
    """Decodes one image, then crops and resizes it if need be.

    Args:
      encoded: the bytes of a PNG, JPEG or WebP file, or its path.
      channels: 1 (greyscale) or 3 (RGB); an alpha channel is dropped.
      size: side in pixels; None keeps the image as it is.
      crop: as for `fit`.

    Returns:
      uint8 [H, W, channels]; [size, size, channels] if `size` is given.

    Raises:
      OSError: if it is not a readable image.
    """
    with Image.open(io.BytesIO(encoded) if isinstance(encoded, bytes) else encoded) as image:
        pixels = image.convert(_MODES[channels])
        if size is not None:
            pixels = fit(pixels, size, crop)
        return np.asarray(pixels).reshape(pixels.height, pixels.width, channels)


def fit(image: Image.Image, size: int, crop: int | None = None) -> Image.Image:
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
    side = min(*image.size, crop or math.inf)
    if image.size == (size, size) == (side, side):
        return image
    left, top = (image.width - side) // 2, (image.height - side) // 2
    resample = Image.Resampling.BOX if size <= side else Image.Resampling.BICUBIC
    # Cropped first: the `box` of Pillow's resize lets pixels from outside it in.
    square = image.crop((left, top, left + side, top + side))
    return square.resize((size, size), resample)
