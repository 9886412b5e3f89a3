"""Pictures of prompts that are there already: a command that was stopped goes on where it was.

A picture's file says what it was drawn with. Equal parameters make an equal picture, so it is not
drawn again; another picture is in the way, and stays. Files and folders are known by what is in
them: one that was moved, or is named from elsewhere, is the same; one of other weights is not.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from numpy.typing import ArrayLike

from score_sde import images, records
from score_sde.cli.flags import CommandLine
from score_sde.errors import UserError
from score_sde.evaluation import cache
from score_sde.models.functional import fingerprint
from score_sde.runs.controlled import Opened
from score_sde.runs.opened import Run
from score_sde.samplers import Sampler

KEYWORD = "parameters"  # of the text in a file
_NUMBERS = 4096  # of each array that are compared: all of a large model take a minute
_DRAWN = ("nfe",)  # known of what was drawn alone
_FILES = ("model", "image", "mask", "network", "conditions")  # whose contents are in `settings`


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
        said = _said(path)
        own, other = _nameless(said), _nameless(json.loads(json.dumps(asked)))
        names = [*other, *(name for name in own if name not in other and name not in _DRAWN)]
        if other := [name for name in names if own.get(name, ...) != other.get(name, ...)]:
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


def _nameless(value: Any) -> Any:
    """Parameters without the names of files."""
    if isinstance(value, dict):
        return {name: _nameless(v) for name, v in value.items() if name not in _FILES}
    return [_nameless(v) for v in value] if isinstance(value, list) else value


def settings(
    line: CommandLine,
    run: Run,
    sampler: Sampler,
    pixels: tuple[int, int],
    shown: Sequence[ArrayLike | None],
    networks: Sequence[Opened],
) -> str:
    """SHA-256 of what determines all pictures and has no name of its own among the parameters.

    Args:
        line: the command line.
        run: the run.
        sampler: what draws.
        pixels: (height, width) of the pictures.
        shown: what they are drawn from, such as an image.
        networks: what steers.
    """
    config = line.config
    steering = [(one.part, one.encoder and one.encoder[1]) for one in networks]
    others = {str(i): leaf for i, leaf in enumerate(jax.tree.leaves((run.space, steering)))}
    said = (
        sampler,
        run.experiment.text,
        run.config.model.dtype,
        pixels,
        config.sampling.tile,
        config.guidance.interval,
        config.guidance.rescale,
        fingerprint(run.params, run.constants, others, most=_NUMBERS),
        [cache.sha256(path) for path, _ in line.loras],  # of text encoders too
    )
    return digest(repr(said), shown)


def digest(text: str, arrays: Sequence[ArrayLike | None]) -> str:
    """SHA-256 of a text and arrays."""
    made = hashlib.sha256(text.encode())
    for given in arrays:
        array = np.ascontiguousarray([] if given is None else given)
        made.update(f"{array.dtype} {array.shape}\n".encode())
        made.update(array.tobytes())
    return made.hexdigest()
