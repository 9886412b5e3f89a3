"""Pictures of images: one, many side by side, or one after the other."""

from __future__ import annotations

import math
import struct
import textwrap
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from score_sde.files import replacing
from score_sde.images import KEYWORD

FRAMES_PER_SECOND = 8  # of a video
_HEADER = 33  # bytes of a PNG file before the first chunk that is not always there
BORDER = 2  # white pixels between the images of a picture
ROOM = 112  # pixels across, from which on an image has room for a caption
_LINE, _LETTER = 14, 6.5  # pixels: down of a line of a caption, across of its letters, about


def grid(images: np.ndarray, columns: int | None = None, border: int = 1) -> np.ndarray:
    """Images side by side.

    Args:
        images: uint8, [N, H, W, C].
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
    across, down = (factor * size + BORDER for size in (width, height))
    return columns * across + BORDER, rows * down + BORDER


def _enlarged(height: int) -> int:
    """The factor by which `save_grid` enlarges images of this height."""
    return max(1, round(32 / height))


def save_grid(
    path: Path, images: np.ndarray, columns: int | None = None, captions: Sequence[str] = ()
) -> None:
    """Write a PNG of the images side by side; small images are enlarged by a whole factor.

    Args:
        path: where; its folder is made.
        images: uint8, [N, H, W, C].
        columns: images a row; as square as possible if None.
        captions: see captioned.
    """
    save_png(path, grid(captioned(enlarged(images), captions), columns, border=BORDER))


def captioned(images: np.ndarray, captions: Sequence[str]) -> np.ndarray:
    """Images with texts above them, black on white; as they are if there are none, or no room.

    Args:
        images: uint8, [N, H, W, C]; they have room from W = ROOM on.
        captions: one for each, of which two lines are shown; or none.

    Returns:
        uint8, [N, H + lines, W, C].
    """
    width = images.shape[2]
    if not any(captions) or width < ROOM:
        return images
    import matplotlib
    from PIL import Image, ImageDraw, ImageFont

    wrapped = [textwrap.wrap(text, int(width / _LETTER), max_lines=2) for text in captions]
    # Any Pillow reads this font, which has the letters of most languages.
    font = ImageFont.truetype(f"{matplotlib.get_data_path()}/fonts/ttf/DejaVuSans.ttf", 11)
    found = []
    for image, lines in zip(images, wrapped, strict=True):
        above = Image.new("L", (width, _LINE * max(map(len, wrapped))), 255)
        ImageDraw.Draw(above).text((2, 0), "\n".join(lines), fill=0, font=font, spacing=2)
        above = np.repeat(np.asarray(above)[..., None], image.shape[-1], axis=-1)
        found.append(np.concatenate([above, image]))
    return np.stack(found)


def save_png(path: Path, image: np.ndarray, texts: Mapping[str, str] | None = None) -> None:
    """Write one image whole or not at all; its folder is made.

    Args:
        path: where.
        image: uint8, [H, W, C]; a PNG shows one channel as gray and the first three as colours, of
            two the third as black.
        texts: by keyword, which the file holds too.
    """
    _save(path, image[None], texts or {})


def save_video(path: Path, frames: np.ndarray, texts: Mapping[str, str] | None = None) -> None:
    """Write the frames of a video as an animated PNG, FRAMES_PER_SECOND of them, again and again.

    Nothing is lost, and what knows no animation shows the first frame.

    Args:
        path: where.
        frames: uint8, [frames, H, W, C]; see save_png.
        texts: by keyword, which the file holds too.
    """
    _save(path, frames, texts or {}, duration=1000 / FRAMES_PER_SECOND, loop=0)


def save_animation(path: Path, frames: np.ndarray) -> None:
    """Write the frames of a video as a GIF, which every viewer plays, FRAMES_PER_SECOND of them.

    Of gray nothing is lost; of colours, of which a GIF has 256 a frame, what is nearest is shown.

    Args:
        path: where; its folder is made.
        frames: uint8, [frames, H, W, C]; see save_png.
    """
    from PIL import Image

    first, *more = (Image.fromarray(frame) for frame in _as_shown(frames))
    # A GIF counts hundredths of a second, and without `disposal` frames may be laid on one another.
    options = {"duration": 1000 // FRAMES_PER_SECOND, "loop": 0, "disposal": 2, "optimize": False}
    with replacing(path) as file:
        first.save(file, "GIF", save_all=True, append_images=more, **options)


def save_moving(
    path: Path, frames: np.ndarray, columns: int | None = None, captions: Sequence[str] = ()
) -> None:
    """Write a GIF in which several videos play side by side.

    Args:
        path: where; its folder is made.
        frames: uint8, [frames, N, H, W, C].
        columns: videos a row; as square as possible if None.
        captions: see captioned.
    """
    together = [grid(captioned(at, captions), columns, BORDER) for at in frames]
    save_animation(path, np.stack(together))


def film_strip(frames: np.ndarray) -> np.ndarray:
    """The frames of a video side by side, the first on the left, and white lines between them.

    Args:
        frames: uint8, [frames, H, W, C].

    Returns:
        uint8, [H, frames (W + BORDER) - BORDER, C].
    """
    strip = grid(frames, len(frames), BORDER)
    return strip[BORDER:-BORDER, BORDER:-BORDER]


def enlarged(images: np.ndarray, room: int = 0) -> np.ndarray:
    """Images, [..., H, W, C], enlarged by a whole factor if they are small.

    Args:
        images: of any leading axes.
        room: pixels across that they have at least afterwards.
    """
    factor = max(_enlarged(images.shape[-3]), -(-room // images.shape[-2]))
    return images.repeat(factor, axis=-3).repeat(factor, axis=-2)


def _save(path: Path, frames: np.ndarray, texts: Mapping[str, str], **options: float) -> None:
    from PIL import Image, PngImagePlugin

    about = PngImagePlugin.PngInfo()
    for keyword, text in texts.items():
        about.add_itxt(keyword, text)
    first, *more = (Image.fromarray(frame) for frame in _as_shown(frames))
    also = {"save_all": True, "append_images": more, **options} if more else {}
    with replacing(path) as file:
        first.save(file, "PNG", pnginfo=about, **also)


def _as_shown(frames: np.ndarray) -> np.ndarray:
    """As Pillow takes them, [frames, H, W] or [frames, H, W, 3]; see save_png."""
    channels = frames.shape[-1]
    if channels == 2:
        frames = np.concatenate([frames, np.zeros_like(frames[..., :1])], axis=-1)
    return frames[..., 0] if channels == 1 else frames[..., :3]


def annotate(path: Path, text: str) -> None:
    """Put a text into a PNG file, in a tEXt chunk with the keyword images.KEYWORD.

    Args:
        path: the file.
        text: ASCII.
    """
    content = path.read_bytes()
    body = b"tEXt" + f"{KEYWORD}\0{text}".encode("ascii")
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    with replacing(path) as file:
        file.write(content[:_HEADER] + chunk + content[_HEADER:])
