"""Pictures of samples."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np


def grid(images: np.ndarray, columns: int | None = None, border: int = 1) -> np.ndarray:
    """Images side by side.

    Args:
        images: uint8, [N, H, W, C] with C = 1 or 3.
        columns: images a row; as square as possible if None.
        border: white pixels between them.

    Returns:
        uint8, [rows (H + border) + border, columns (W + border) + border, C].
    """
    n, height, width, channels = images.shape
    columns = columns or math.ceil(math.sqrt(n))
    rows = math.ceil(n / columns)
    shape = (rows * (height + border) + border, columns * (width + border) + border, channels)
    canvas = np.full(shape, 255, np.uint8)
    for index, image in enumerate(images):
        top = border + (index // columns) * (height + border)
        left = border + (index % columns) * (width + border)
        canvas[top : top + height, left : left + width] = image
    return canvas


def save_grid(path: Path, images: np.ndarray, columns: int | None = None) -> None:
    """Write a PNG of the images side by side; small images are enlarged by a whole factor.

    Args:
        path: where; its folder is made.
        images: uint8, [N, H, W, C] with C = 1 or 3.
        columns: images a row; as square as possible if None.
    """
    from PIL import Image

    factor = max(1, round(32 / images.shape[1]))
    enlarged = images.repeat(factor, axis=1).repeat(factor, axis=2)
    canvas = grid(enlarged, columns, border=2)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    Image.fromarray(canvas[..., 0] if canvas.shape[-1] == 1 else canvas).save(partial, "PNG")
    partial.replace(path)
