"""From the SVG of an emoji to its picture and its sketch.

The ground is white: emoji are drawn for light pages, those of OpenMoji with black outlines, which a
dark ground would hide.
"""

from __future__ import annotations

import io
import math
import re

import numpy as np

from score_sde import images
from score_sde.data import decoding
from score_sde.data.base import DataError
from score_sde.errors import first_line, is_failure

MOST_BYTES = 2**22  # of an SVG; Noto's largest has 0.3 MB

_LEAST = 32  # pixels of what is rendered

# What is looked up elsewhere: resvg would open files of this machine that an SVG names.
_OUTSIDE = re.compile(rb"""href\s*=\s*["']\s*(?!#|data:|["'])|<!ENTITY""", re.IGNORECASE)
# The layers of an SVG of OpenMoji's beside "line" and "line-supplement".
_NO_LINES = "#color, #color-foreground, #hair, #skin, #skin-shadow {display: none}"


def draw(svg: bytes, size: int, name: str, style_sheet: str | None = None) -> np.ndarray:
    """A picture on white; what is not square stands in the middle.

    Below 32 pixels it is drawn larger and averaged: lines thinner than a pixel are drawn as wide as
    one, and at 16 pixels resvg 0.48 fails on a filter of Fluent's.

    Args:
      svg: UTF-8.
      size: side of the picture in pixels.
      name: what an error calls the SVG.
      style_sheet: CSS that is added.

    Returns:
      uint8 [size, size, 3].

    Raises:
      DataError: it is no SVG, is too large, or refers to other files.
    """
    if len(svg) > MOST_BYTES:
        raise DataError(f"{name} is larger than {MOST_BYTES:,} bytes")
    if _OUTSIDE.search(svg):
        raise DataError(f"{name} refers to what is not in it")
    large = size * math.ceil(_LEAST / size)
    picture = images.read(_rendered(svg, large, name, style_sheet), name).convert("RGB")
    if picture.width != picture.height:
        from PIL import Image

        side = max(picture.size)
        square = Image.new("RGB", (side, side), images.WHITE)
        square.paste(picture, ((side - picture.width) // 2, (side - picture.height) // 2))
        picture = square
    return np.asarray(decoding.fit(picture, size))


def _rendered(svg: bytes, size: int, name: str, style_sheet: str | None) -> bytes:
    """A PNG file, transparent where nothing is drawn."""
    import resvg_py

    try:
        return resvg_py.svg_to_bytes(
            svg_string=svg.decode(),
            style_sheet=style_sheet,
            width=size,
            height=size,
            skip_system_fonts=True,  # which differ between machines
        )
    except BaseException as error:
        if not is_failure(error):
            raise
        raise DataError(f"{name} cannot be drawn ({first_line(error)})") from error


def line_layer(svg: bytes, size: int, name: str) -> np.ndarray:
    """The line drawing that an SVG of OpenMoji's has as a layer: black on white.

    Args:
      svg: see `draw`.
      size: see `draw`.
      name: see `draw`.

    Returns:
      uint8 [size, size, 1].
    """
    lines = draw(svg, size, name, _NO_LINES)
    return np.asarray(lines.min(axis=2, keepdims=True))


def edges(picture: np.ndarray) -> np.ndarray:
    """The edges of a picture, for styles that have no line drawings: dark on white.

    A pixel is 255 (1 - sqrt(d / 255)) where d is how much the next one, below or to the right,
    differs in any channel; the root keeps the outlines of what is nearly white. Outside is white.

    Args:
      picture: uint8 [height, width, 3].

    Returns:
      uint8 [height, width, 1].
    """
    padded = np.pad(picture.astype(np.float32), ((1, 1), (1, 1), (0, 0)), constant_values=255)
    found = np.zeros(picture.shape[:2], np.float32)
    for axis, inner in ((0, padded[:, 1:-1]), (1, padded[1:-1])):
        steps = np.moveaxis(np.abs(np.diff(inner, axis=axis)).max(axis=2), axis, 0)
        lines = steps[1:].copy()
        lines[0] = np.maximum(lines[0], steps[0])  # from outside to the first
        found = np.maximum(found, np.moveaxis(lines, 0, axis))
    return np.round(255 - np.sqrt(255 * found)).astype(np.uint8)[..., None]


def png(picture: np.ndarray) -> bytes:
    """A picture, uint8 [height, width, 1 or 3], as a PNG file."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(picture[..., 0] if picture.shape[2] == 1 else picture).save(file, "PNG")
    return file.getvalue()
