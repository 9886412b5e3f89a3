"""The one door to images that others made: PNG, JPEG or WebP files or bytes to 8-bit pixels.

An image is what its first bytes say, whatever its name claims, and only of these three formats: for
others Pillow has readers that start programs. Files must be regular ones, so that no pipe and no
device is waited for, and sizes are checked before anything is decoded.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import io
import os
import re
import struct
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np

from score_sde import files
from score_sde.errors import UserError, first_line

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFile import ImageFile

Color = tuple[int, int, int]

MOST_PIXELS = 2**27  # 134 million: 0.5 GB with four channels; cameras have 100 million
MOST_BYTES = 2**30  # of a file; WebP's are read whole
KEYWORD = "score_sde"  # of the text in a PNG file that says what the picture is of

WHITE: Color = (255, 255, 255)
BLACK: Color = (0, 0, 0)
_NAMED = {"white": WHITE, "black": BLACK}

_GREY = {"1", "L", "LA", "La"}
_DEEP = ("I", "I;16", "I;16L", "I;16B", "I;16N")  # Pillow's modes of 16-bit grey, by version
_ORIENTATION = 0x0112  # the EXIF tag


class ImageError(UserError):
    """An image that cannot be read; the message is one line that names it."""


@dataclasses.dataclass(frozen=True)
class Header:
    """What an image says of itself before it is decoded.

    Attributes:
        size: width and height in pixels, as it is to be seen: turned as its EXIF data say.
        channels: of what `read` gives, 1 or 3.
    """

    size: tuple[int, int]
    channels: int


def color(text: str) -> Color:
    """Red, green and blue, 0 to 255, of "white", "black" or "#rrggbb".

    Raises:
        ValueError: the text is something else.
    """
    if text in _NAMED:
        return _NAMED[text]
    if not re.fullmatch(r"#[0-9a-fA-F]{6}", text):
        raise ValueError(f"{text!r} is no colour: give white, black or six hex digits, #rrggbb")
    red, green, blue = bytes.fromhex(text[1:])
    return (red, green, blue)


def header(image: Path | bytes, name: str = "", background: Color = WHITE) -> Header:
    """Size and channels of an image, without decoding it.

    Args:
        image: a file, or what it holds.
        name: what an error calls it; the path if empty.
        background: as for `read`.

    Raises:
        ImageError: it is no regular file, no such image, or too large.
    """
    with _opened(image, name) as opened:
        width, height = opened.size
        turned = _orientation(opened) >= 5
        size = (height, width) if turned else (width, height)
        grey = opened.mode in (*_GREY, *_DEEP)
        colored = not grey or (_is_transparent(opened) and not _is_grey(background))
        return Header(size, 3 if colored else 1)


def read(image: Path | bytes, name: str = "", background: Color = WHITE) -> Image:
    """The pixels of an image as it is to be seen, of an animation the first picture.

    Grey of 16 bits is divided by 257 and rounded, EXIF's orientation is applied, and what is
    transparent is laid on the background, so that no hidden colour shows.

    Args:
        image: as for `header`.
        name: as for `header`.
        background: behind transparent pixels.

    Returns:
        A Pillow image of mode "L", if it is grey and any background that shows too, or "RGB".

    Raises:
        ImageError: as for `header`, or it cannot be decoded.
    """
    from PIL.Image import Transpose

    turns = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
    with _opened(image, name) as opened:
        turn = turns.get(_orientation(opened))
        with _decoding(image, name):
            opened.load()
            seen = _opaque(_eight_bits(opened), background)
    return seen if turn is None else seen.transpose(turn)


def resized(path: Path, pixels: tuple[int, int] | None, channels: int) -> np.ndarray:
    """A file as uint8 [height, width, channels], resized where it is of another size.

    Args:
        path: the file.
        pixels: (height, width) that it is to have; None for its own.
        channels: 1 or 3.

    Raises:
        ImageError: it cannot be read.
    """
    return _array(read(path), pixels, channels)


def frames(path: Path, number: int, pixels: tuple[int, int], channels: int) -> np.ndarray:
    """The first pictures of a file, uint8 [number, height, width, channels], resized as needed.

    Args:
        path: the file; of more than one picture, an animated PNG or WebP.
        number: of pictures.
        pixels: (height, width) that they are to have.
        channels: 1 or 3.

    Raises:
        ImageError: it cannot be read, or has fewer.
    """
    with _opened(path, "") as opened:
        there = getattr(opened, "n_frames", 1)
        if there < number:
            raise ImageError(
                f"{path} shows {there} picture{'s' * (there > 1)}, and {number} are needed: give "
                "an animated PNG or WebP of as many or more"
            )
        found = []
        for i in range(number):
            with _decoding(path, ""):
                if i:
                    opened.seek(i)
                opened.load()
                found.append(_array(_opaque(_eight_bits(opened), WHITE), pixels, channels))
    return np.stack(found)


def _array(image: Image, pixels: tuple[int, int] | None, channels: int) -> np.ndarray:
    """A Pillow image as uint8 [height, width, channels]; see `resized`."""
    from PIL import Image as pillow

    image = image.convert("L" if channels == 1 else "RGB")
    if pixels is not None and image.size != pixels[::-1]:
        image = image.resize(pixels[::-1], pillow.Resampling.LANCZOS)
    found = np.asarray(image)
    return found[..., None] if channels == 1 else found


def about(image: Path | bytes, name: str = "", keyword: str = KEYWORD) -> str:
    """What a PNG file says of itself by a keyword; "" if it says nothing.

    Of texts before the pixels, which are not decoded.

    Args:
        image: as for `header`.
        name: as for `header`.
        keyword: of the text.

    Raises:
        ImageError: as for `header`.
    """
    with _opened(image, name) as opened:
        return str(opened.info.get(keyword, ""))


@contextlib.contextmanager
def _opened(image: Path | bytes, name: str) -> Iterator[ImageFile]:
    """A Pillow image that has passed all checks of its header."""
    name = _name(image, name)
    with io.BytesIO(image) if isinstance(image, bytes) else _file(image, name) as file:
        opened = _identified(file, name)
        width, height = opened.size
        if width * height > MOST_PIXELS:
            raise ImageError(
                f"{name} has {width}x{height} pixels: an image can have {MOST_PIXELS:,}"
            )
        yield opened


@contextlib.contextmanager
def _decoding(image: Path | bytes, name: str) -> Iterator[None]:
    """What Pillow's decoders raise, a dozen types, as one."""
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:
        raise ImageError(f"{_name(image, name)} cannot be decoded ({first_line(error)})") from error


def _file(path: Path, name: str) -> IO[bytes]:
    """A regular file, opened; a pipe is not waited for."""
    try:
        file = files.regular(path)
    except files.Irregular as error:
        raise ImageError(f"{name} is not a readable image: it is no regular file") from error
    except OSError as error:
        raise ImageError(f"{name} cannot be opened ({error.strerror})") from error
    if os.fstat(file.fileno()).st_size > MOST_BYTES:
        file.close()
        raise ImageError(f"{name} is not a readable image: it is larger than 1 GB")
    return file


def _identified(file: IO[bytes], name: str) -> ImageFile:
    """The image of a file by its first bytes.

    Image.open is not asked: it warns of sizes that are checked here.
    """
    try:
        start = file.read(12)
        file.seek(0)
        for magic, kind in _kinds().items():
            if re.match(magic, start, re.DOTALL):
                return kind(file)
    except MemoryError:
        raise
    except Exception as error:  # a plugin of Pillow's reads the header as it is made: see _decoding
        raise ImageError(f"{name} is not a readable image ({first_line(error)})") from error
    raise ImageError(f"{name} is not a readable image: it holds no PNG, JPEG or WebP")


@functools.cache
def _kinds() -> dict[bytes, type[ImageFile]]:
    """Pillow's readers, by the first bytes of the files that they read."""
    from PIL.Image import Exif
    from PIL.JpegImagePlugin import JpegImageFile
    from PIL.PngImagePlugin import PngImageFile
    from PIL.WebPImagePlugin import WebPImageFile

    # Of a damaged animation; its first picture is read, or an error says what is wrong.
    warnings.filterwarnings("ignore", "Invalid APNG")

    class Jpeg(JpegImageFile):
        """One that does not look for its resolution, and so warns of no damaged EXIF data."""

        def getexif(self) -> Exif:
            return Exif()

    return {
        rb"\x89PNG\r\n\x1a\n": PngImageFile,
        rb"\xff\xd8\xff": Jpeg,
        rb"RIFF....WEBP": WebPImageFile,
    }


def _orientation(image: ImageFile) -> int:
    """1 to 8 as EXIF counts them, 1 for as it is; damaged EXIF data say nothing.

    Of EXIF data before the pixels, so that an image need not be decoded to know its size.
    """
    data = image.info.get("exif", b"").removeprefix(b"Exif\0\0")
    try:
        order = {b"II": "<", b"MM": ">"}[data[:2]]
        (start,) = struct.unpack_from(f"{order}I", data, 4)
        (entries,) = struct.unpack_from(f"{order}H", data, start)
        for at in range(start + 2, start + 2 + 12 * entries, 12):
            tag, kind, count, value = struct.unpack_from(f"{order}HHIH", data, at)
            if (tag, kind, count) == (_ORIENTATION, 3, 1):
                return value if 1 <= value <= 8 else 1
    except (KeyError, struct.error):
        pass
    return 1


def _eight_bits(image: Image) -> Image:
    """The same of 8 bits a channel, transparency as an alpha channel: L, LA, RGB or RGBA."""
    from PIL import Image as pillow

    transparent = image.info.get("transparency")
    if image.mode in _DEEP:
        values = np.asarray(image).astype(np.int64)
        grey = pillow.fromarray(((values + 128) // 257).astype(np.uint8))
        if transparent is not None:
            grey.putalpha(pillow.fromarray(np.where(values == transparent, 0, 255).astype("uint8")))
        return grey
    grey = image.mode in _GREY
    if _is_transparent(image):
        return image.convert("LA" if grey else "RGBA")
    return image.convert("L" if grey else "RGB")


def _opaque(image: Image, background: Color) -> Image:
    """The same without an alpha channel."""
    from PIL import Image as pillow

    if image.mode in ("L", "RGB"):
        return image
    grey = image.mode == "LA" and _is_grey(background)
    mode, below = ("L", background[0]) if grey else ("RGB", background)
    canvas = pillow.new(mode, image.size, below)
    canvas.paste(image.convert(mode), mask=image.getchannel("A"))
    return canvas


def _is_transparent(image: Image) -> bool:
    return "transparency" in image.info or image.mode[-1] in "Aa"


def _is_grey(color: Color) -> bool:
    return len(set(color)) == 1


def _name(image: Path | bytes, name: str) -> str:
    return name or ("an image" if isinstance(image, bytes) else str(image))
