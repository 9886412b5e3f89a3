"""Pictures of samples, and keeping them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from pathlib import Path

import jax
import numpy as np

_BORDER = 2  # white pixels between the images of a picture


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


def picture_size(height: int, width: int, rows: int, columns: int) -> tuple[int, int]:
    """Pixels across and down of what `save_grid` draws of images of this size."""
    factor = _enlarged(height)
    across, down = (factor * size + _BORDER for size in (width, height))
    return columns * across + _BORDER, rows * down + _BORDER


def _enlarged(height: int) -> int:
    """The factor by which `save_grid` enlarges images of this height."""
    return max(1, round(32 / height))


def save_grid(path: Path, images: np.ndarray, columns: int | None = None) -> None:
    """Write a PNG of the images side by side; small images are enlarged by a whole factor.

    Args:
        path: where; its folder is made.
        images: uint8, [N, H, W, C] with C = 1 or 3.
        columns: images a row; as square as possible if None.
    """
    factor = _enlarged(images.shape[1])
    enlarged = images.repeat(factor, axis=1).repeat(factor, axis=2)
    canvas = grid(enlarged, columns, border=_BORDER)
    save_png(path, canvas)


def save_png(path: Path, image: np.ndarray) -> None:
    """Write one image whole or not at all; its folder is made.

    Args:
        path: where.
        image: uint8, [H, W, C] with C = 1 or 3.
    """
    from PIL import Image

    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(partial, "PNG")
    partial.replace(path)


def save_npz(path: Path, images: np.ndarray) -> None:
    """Write images, uint8 [N, H, W, C], as "samples" of an .npz file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        np.savez_compressed(file, samples=images)
    partial.replace(path)


def keep_images(path: Path | None, batches: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Pass images on, and keep them; of several processes, only the first writes.

    Args:
        path: a file NAME.npz, written when the batches end; or a folder, for 000000.png and so on,
            written as they come; None keeps nothing.
        batches: uint8, [batch, H, W, C].
    """
    if path is None or jax.process_index() > 0:
        yield from batches
        return
    path, kept, start = Path(path), [], 0
    for images in batches:
        if path.suffix == ".npz":
            kept.append(images)
        else:
            for number, image in enumerate(images, start):
                save_png(path / f"{number:06d}.png", image)
        start += len(images)
        yield images
    if kept:
        save_npz(path, np.concatenate(kept))
