"""Pictures of prompts that are there already: a command that was stopped goes on where it was.

A picture's file says what it was drawn with. Equal parameters make an equal picture, so it is not
drawn again; another picture is in the way, and stays.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from score_sde import images, records
from score_sde.cli.flags import CommandLine
from score_sde.errors import UserError
from score_sde.runs.opened import Run
from score_sde.samplers import Sampler

KEYWORD = "parameters"  # of the text in a file
_DRAWN = ("nfe",)  # known of what was drawn alone


def found(paths: Sequence[Path], expected: Sequence[Mapping[str, Any]]) -> dict[int, Any]:
    """The parameters of those pictures that are there, by their places.

    Args:
        paths: of all pictures.
        expected: the parameters of each.

    Raises:
        UserError: a file is in the way: it is no such picture, or has other parameters.
    """
    there = {}
    for i, (path, asked) in enumerate(zip(paths, expected, strict=True)):
        if not path.exists():
            continue
        said, asked = _said(path), json.loads(json.dumps(asked))
        names = [*asked, *(name for name in said if name not in asked and name not in _DRAWN)]
        if other := [name for name in names if said.get(name, ...) != asked.get(name, ...)]:
            raise in_the_way(path, f", drawn with other {other[0]}" if said else "")
        there[i] = said
    return there


def in_the_way(path: Path, more: str = "") -> UserError:
    """What to raise if a file stands where another is to be."""
    return UserError(f"{path} exists{more}: give another --out, or --overwrite")


def _said(path: Path) -> Mapping[str, Any]:
    """What the file of a picture says; nothing if it is none."""
    try:
        return records.parse(images.about(path, keyword=KEYWORD))
    except (images.ImageError, ValueError):
        return {}


def settings(
    line: CommandLine,
    run: Run,
    sampler: Sampler,
    pixels: tuple[int, int],
    arrays: Sequence[ArrayLike | None],
) -> str:
    """SHA-256 of what determines all pictures and has no name of its own among the parameters.

    Args:
        line: the command line.
        run: the run.
        sampler: what draws.
        pixels: (height, width) of the pictures.
        arrays: what they are drawn from, such as an image.
    """
    config = line.config
    said = (
        sampler,
        run.experiment.text,
        run.config.model.dtype,
        pixels,
        config.sampling.tile,
        config.guidance.interval,
        config.guidance.rescale,
    )
    return digest(repr(said), arrays)


def digest(text: str, arrays: Sequence[ArrayLike | None]) -> str:
    """SHA-256 of a text and arrays."""
    made = hashlib.sha256(text.encode())
    for given in arrays:
        array = np.ascontiguousarray([] if given is None else given)
        made.update(f"{array.dtype} {array.shape}\n".encode())
        made.update(array.tobytes())
    return made.hexdigest()
