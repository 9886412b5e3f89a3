"""An image as networks take it that were trained on squares of one size."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def fitted(image: np.ndarray, side: int, mean: Sequence[float], std: Sequence[float]) -> np.ndarray:
    """Its shorter side made `side` by bicubic interpolation, the middle of it, normalised.

    Args:
        image: uint8 [height, width, 3].
        side: of the result, in pixels.
        mean: of each channel of the images that the network was trained on, from 0 to 1.
        std: likewise.

    Returns:
        float32 [side, side, 3].
    """
    from PIL import Image

    height, width, _ = image.shape
    factor = side / min(height, width)
    rows, columns = (max(side, int(n * factor)) for n in (height, width))
    whole = Image.fromarray(image).resize((columns, rows), Image.Resampling.BICUBIC)
    top, left = ((n - side) // 2 for n in (rows, columns))
    middle = np.asarray(whole)[top : top + side, left : left + side] / 255
    return ((middle - np.asarray(mean)) / np.asarray(std)).astype(np.float32)
