"""Where images and videos are known: --mask, the name of a part or a PNG file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from score_sde import images
from score_sde.checks import check_name
from score_sde.errors import UserError
from score_sde.spaces import Pixels, parts

Regions = Mapping[str, tuple[slice, ...]]


def known(name: str, *sides: int, regions: Regions = Pixels.REGIONS) -> np.ndarray:
    """True where pixels are known, [1, *sides, 1], or 1 in the place of a side but the last two.

    Args:
        name: the part that is not known; or a PNG file of the last two sides, white, or 1 if all
            are 0 or 1, where pixels are known.
        sides: height and width of an image in pixels; frames before them.
        regions: the parts that there are; see Space.REGIONS.

    Raises:
        UserError: there is no such part or file, or it is of another size, or knows no pixel.
    """
    if name in regions:
        there = ~parts.region(regions[name], sides)
        if not there.any():
            raise UserError(f"--mask={name} knows nothing of {'x'.join(map(str, sides))} pixels")
        return there[None, ..., None]
    if not Path(name).is_file() or len(sides) < 2:
        try:
            check_name("--mask", name, regions)
        except ValueError as error:
            more = ", or a PNG file" if len(sides) > 1 else ", or --keep=START:STOP"
            raise UserError(f"{error}{more}") from error
    there = _of_file(Path(name), *sides[-2:])
    return there.reshape(1, *(1 for _ in sides[:-2]), *there.shape[1:])


def _of_file(path: Path, height: int, width: int) -> np.ndarray:
    """See `known`. Nothing is known where an image is transparent; 0 and 1 are black and white."""
    try:
        values = np.asarray(images.read(path, f"--mask={path}", images.BLACK).convert("L"))
    except images.ImageError as error:
        raise UserError(f"{error}: give a PNG file, white where pixels are known") from error
    if values.shape != (height, width):
        raise UserError(
            f"--mask={path} is {values.shape[1]}x{values.shape[0]}, the images {width}x{height}"
        )
    known = values > (0 if values.max() <= 1 else 127)
    if not known.any():
        raise UserError(
            f"--mask={path} knows no pixel: its values are {values.min()} to {values.max()}, and "
            "pixels of at least 128, white, are known"
        )
    return known[None, :, :, None]
