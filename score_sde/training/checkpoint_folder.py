"""What lies in the folder of a run's checkpoints: a folder for each, named by its step."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
from pathlib import Path

from score_sde.errors import UserError
from score_sde.training.failures import CheckpointError

_METADATA = "_CHECKPOINT_METADATA"  # Orbax's, of a checkpoint
_UNFINISHED = ".orbax-checkpoint-tmp"  # in the names of those that are being written


def steps(folder: Path) -> list[int]:
    """The steps of the checkpoints in a folder, in order; an empty folder is none."""
    return sorted(int(path.name) for path in _numbered(folder) if any(path.iterdir()))


def only_unfinished(folder: Path) -> bool:
    """Whether nothing is in a folder but checkpoints that were never finished, which are none.

    Where a folder is removed while one is written, TensorStore makes it again for what is left.
    """
    return folder.is_dir() and all(_UNFINISHED in path.name for path in folder.iterdir())


def latest(folder: Path) -> int | None:
    """The step of the newest checkpoint; None if there is none."""
    return max(steps(folder), default=None)


def latest_due(folder: Path, every: int) -> int | None:
    """The step of the newest checkpoint at a multiple of a number of steps, or else of the newest.

    Others are there because training was stopped: without them a run that was stopped goes back as
    far as one that was not.
    """
    there = steps(folder)
    due = [step for step in there if step % every == 0]
    return max(due or there, default=None)


def chosen(folder: Path, step: int | None) -> int:
    """The step that is asked for, or the newest if None; CheckpointError if it is not there."""
    there = steps(folder)
    if not there:
        raise CheckpointError(f"no checkpoint in {folder} yet; train on")
    if step is not None and step not in there:
        raise CheckpointError(
            f"no checkpoint {step} in {folder}; it has {', '.join(map(str, there))}"
        )
    return there[-1] if step is None else step


def irregular(folder: Path, step: int) -> Path | None:
    """Something in a checkpoint that is neither a folder nor a regular file, or None.

    A pipe, for example, for whose bytes whoever reads it would wait for ever.
    """
    checkpoint = folder / str(step)
    inside = (Path(root, name) for root, _, names in os.walk(checkpoint) for name in names)
    return next((path.relative_to(folder) for path in inside if not path.is_file()), None)


def check_metadata(folder: Path) -> None:
    """Raise CheckpointError if Orbax, which opens those of all steps, would wait for any."""
    for step in steps(folder):
        path = folder / str(step) / _METADATA
        if path.exists() and not path.is_file():
            raise CheckpointError(f"{path} is no regular file: move checkpoint {step} away")


def set_aside(folder: Path, step: int) -> Path:
    """Give a checkpoint a name under which it is none, and return its new place."""
    names = (f"damaged-{step}" + (f"-{n}" if n > 1 else "") for n in itertools.count(1))
    aside = next(path for name in names if not (path := folder / name).exists())
    (folder / str(step)).rename(aside)
    return aside


def remove(folder: Path, step: int) -> None:
    """Remove a checkpoint; one of which a part is left is none any more."""
    rest = folder / f"removed-{step}"
    shutil.rmtree(rest, ignore_errors=True)
    (folder / str(step)).rename(rest)
    shutil.rmtree(rest)


def remove_empty(folder: Path) -> None:
    """Remove the empty folders that are named as checkpoints are."""
    for path in _numbered(folder):
        with contextlib.suppress(OSError):  # it is not empty
            path.rmdir()


def _numbered(folder: Path) -> list[Path]:
    try:
        if not folder.is_dir():
            return []
        return [path for path in folder.iterdir() if path.is_dir() and _is_step(path.name)]
    except OSError as error:
        raise UserError(f"cannot read {folder}: {error.strerror}") from error


def _is_step(name: str) -> bool:
    return name.isascii() and name.isdecimal() and name == str(int(name))
