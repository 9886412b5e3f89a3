"""The images that --prompt is given, as large as the pictures that are to be drawn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from score_sde import images
from score_sde.cli import masks
from score_sde.cli.prompt_options import SIDES, PromptOptions
from score_sde.errors import UserError
from score_sde.runs import prompted
from score_sde.runs.controlled import Opened
from score_sde.runs.opened import Run

Size = tuple[int, int]  # height and width, in pixels


def size(options: PromptOptions, run: Run, networks: Sequence[Opened]) -> Size:
    """(height, width) of the pictures: as asked, or else of what is given, or else of training.

    Args:
        options: what is asked.
        run: the run.
        networks: what steers, in the order of options.controls. One that is shown an embedding of
            its image says nothing of the size.

    Raises:
        UserError: the run cannot draw such pictures, or an image cannot be read.
    """
    sides = options.height, options.width
    if options.extend and sides != (None, None):
        raise UserError("--height and --width do not go with --extend, which says how large it is")
    given = [] if options.image is None else [(options.image, f"--image={options.image}")]
    given += [
        (one.image, f"--control={one.network}:{one.image}")
        for one, network in zip(options.controls, networks, strict=True)
        if network.encoder is None
    ]
    if not given or None not in sides:
        return prompted.size(run, *sides)
    sizes = {flag: images.header(Path(path), flag).size[::-1] for path, flag in given}
    if options.task == "superres":
        small = sizes[given[0][1]]
        sizes[given[0][1]] = tuple(run.space.factor * side for side in small)
    if options.extend:
        height, width = sizes[given[0][1]]
        more = {side: options.extend.get(side, 0) for side in SIDES}
        larger = (height + more["top"] + more["bottom"], width + more["left"] + more["right"])
        sizes[given[0][1]] = larger
    (flag, first), *others = sizes.items()
    resized = "give --height and --width, to which it is resized"
    if options.extend:
        resized = "give another --extend, or a resized image"
    if any(side % run.space.factor for side in first):
        raise UserError(
            f"{flag} is of {first[0]} x {first[1]} pixels, which are no multiples of "
            f"{run.space.factor}: {resized}"
        )
    for other, found in others:
        if found != first:
            raise UserError(
                f"{other} is of {found[0]} x {found[1]} pixels, {flag} of {first[0]} x {first[1]}: "
                f"{resized}"
            )
    return prompted.size(run, *(b if a is None else a for a, b in zip(sides, first, strict=True)))


def mask(name: str, pixels: Size) -> np.ndarray:
    """True where pixels are known, bool [height, width], resized where it is of another size.

    Args:
        name: see masks.known.
        pixels: (height, width) that it is to have.

    Raises:
        UserError: it cannot be read, or knows nothing.
    """
    from PIL import Image

    if not Path(name).is_file():
        return masks.known(name, *pixels)[0, :, :, 0]
    width, height = images.header(Path(name), f"--mask={name}").size
    known = Image.fromarray(masks.known(name, height, width)[0, :, :, 0])
    return np.asarray(known.resize(pixels[::-1], Image.Resampling.NEAREST))
