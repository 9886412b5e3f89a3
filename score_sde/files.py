"""Writing files whole or not at all: what is read was finished."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from score_sde.errors import UserError


def expanded(path: str | os.PathLike[str]) -> Path:
    """A path that a user gave: a ~ at its beginning is a home folder, as in a shell.

    Where it names a user that there is not, it stays, as in a shell. Variables such as $HOME are
    the shell's to replace.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:  # there is no such user
        return Path(path)


@contextlib.contextmanager
def writing(folder: Path, advice: str = "Give another --workdir") -> Iterator[None]:
    """Turn a failure to write to a folder into a UserError.

    Args:
        folder: by default that of a run.
        advice: what to do then, without a full stop.
    """
    try:
        yield
    except OSError as error:
        raise UserError(f"cannot write to {folder}: {error.strerror}. {advice}") from error


@contextlib.contextmanager
def on_the_side(name: str, warn: Callable[[str], None]) -> Iterator[None]:
    """Turn a failure to write what no work depends on into a warning, one line.

    Args:
        name: of the file.
        warn: told.
    """
    try:
        yield
    except OSError as error:
        warn(f"warning: {name} is not written: {error.strerror or error}")


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file to write into, which takes its place under `path` at the end; its folder is made.

    Whoever else writes it at the same time; and whatever is raised leaves what was there before.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            yield file
        partial.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise


def set_aside(path: Path) -> Path:
    """Give what cannot be read another name beside its own, NAME.damaged, and return that."""
    names = (path.with_name(f"{path.name}.damaged{n or ''}") for n in itertools.count())
    aside = next(name for name in names if not os.path.lexists(name))
    return path.rename(aside)


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Write a JSON file, indented."""
    with replacing(path) as file:
        file.write((json.dumps(values, indent=2) + "\n").encode())


def write_npz(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write an .npz file, compressed."""
    with replacing(path) as file:
        np.savez_compressed(file, **arrays)
