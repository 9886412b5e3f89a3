"""Writing files whole or not at all: what is read was finished."""

from __future__ import annotations

import argparse
import contextlib
import errno
import itertools
import json
import os
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from score_sde import interrupts, values
from score_sde.errors import UserError

# Reads of a regular file do not ask whether O_NONBLOCK is set. Windows has only the last.
_FLAGS = os.O_RDONLY + sum(getattr(os, name, 0) for name in ("O_NONBLOCK", "O_CLOEXEC", "O_BINARY"))


class Irregular(OSError):
    """A folder, pipe or device in the place of a regular file; strerror says so."""


def expanded(path: str | os.PathLike[str]) -> Path:
    """A path that a user gave: a ~ at its beginning is a home folder, as in a shell.

    Where it names a user that there is not, it stays, as in a shell. Variables such as $HOME are
    the shell's to replace.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:  # there is no such user
        return Path(path)


def typed(text: str) -> Path:
    """A path that was typed, `expanded`: the type of arguments of argparse.

    Raises:
        argparse.ArgumentTypeError: no file can have this path.
    """
    try:
        values.IsPath().check("path", text)
        path = expanded(text)
        path.resolve()
    except (ValueError, OSError) as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    except RuntimeError as error:
        raise argparse.ArgumentTypeError(f"{text} is a link to itself") from error
    return path


def regular(path: str | os.PathLike[str]) -> IO[bytes]:
    """A regular file, opened for reading: no pipe is waited for, and no device is read without end.

    Raises:
        OSError: it cannot be opened; Irregular if it is something else.
    """
    try:
        number = os.open(path, _FLAGS)
    except ValueError as error:  # a zero byte
        raise OSError(errno.EINVAL, "no file can have this name") from error
    mode = os.fstat(number).st_mode
    if not stat.S_ISREG(mode):
        os.close(number)
        folder = os.strerror(errno.EISDIR) if stat.S_ISDIR(mode) else ""
        raise Irregular(errno.EINVAL, folder or "it is no regular file")
    return os.fdopen(number, "rb")


@contextlib.contextmanager
def folder(path: Path) -> Iterator[None]:
    """Make a folder, unless it is there; if what is done within raises, an empty one is removed.

    Raises:
        UserError: it cannot be made.
    """
    made = not path.exists()
    with writing(path):
        path.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        if made:
            with contextlib.suppress(OSError):  # something was written
                path.rmdir()
        raise


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
    partial = _partial(path)
    try:
        with interrupts.removing(partial.unlink), partial.open("wb") as file:
            yield file
        partial.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise


def check_new(folder: Path, advice: str) -> None:
    """Raise UserError if `making` cannot make a folder: before hours of work for it."""
    if os.path.lexists(folder) and not _is_empty(folder):
        raise UserError(f"{folder} is there already. {advice}")
    with writing(folder.parent, advice):
        _new_partial(folder).rmdir()


@contextlib.contextmanager
def making(folder: Path, advice: str) -> Iterator[Path]:
    """A folder to write into, which takes its place as `folder` at the end, whole or not at all.

    Raises:
        UserError: it cannot be written, or is there, perhaps by another process meanwhile.
    """
    with writing(folder.parent, advice):
        partial = _new_partial(folder)
        try:
            with interrupts.removing(lambda: shutil.rmtree(partial)):
                yield partial
            if os.path.lexists(folder) and not _is_empty(folder):
                raise UserError(f"{folder} was made by another process meanwhile. {advice}")
            partial.rename(folder)
        except BaseException:
            shutil.rmtree(partial)
            raise


def _new_partial(folder: Path) -> Path:
    """A new folder beside another, whose name has the number of this process.

    One that was killed may have had the same number: in a container each is the first.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    for n in itertools.count():
        partial = folder.with_name(f"{folder.name}.{os.getpid()}{f'-{n}' if n else ''}.partial")
        try:
            partial.mkdir()
        except FileExistsError:
            continue
        return partial
    raise AssertionError  # there is always another number


def _is_empty(folder: Path) -> bool:
    return folder.is_dir() and not folder.is_symlink() and not any(folder.iterdir())


def check_writable(path: Path, advice: str = "Give another --workdir") -> None:
    """Raise UserError if a file cannot be written in the end, before hours of work for it.

    Args:
        path: the file; its folder is made.
        advice: as of `writing`.
    """
    if path.is_dir():
        raise UserError(f"cannot write {path}: it is a folder. {advice}")
    with writing(path.parent, advice):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = _partial(path)
        partial.open("wb").close()
        partial.unlink()


def _partial(path: Path) -> Path:
    return path.with_name(f"{path.name}.{os.getpid()}.partial")


def set_aside(path: Path) -> Path:
    """Give what cannot be read another name beside its own, NAME.damaged, and return that."""
    names = (path.with_name(f"{path.name}.damaged{n or ''}") for n in itertools.count())
    aside = next(name for name in names if not os.path.lexists(name))
    return path.rename(aside)


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a JSON file, indented."""
    with replacing(path) as file:
        file.write((json.dumps(content, indent=2) + "\n").encode())


def write_npz(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write an .npz file, compressed."""
    with replacing(path) as file:
        np.savez_compressed(file, **arrays)
