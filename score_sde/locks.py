"""A lock that the operating system gives back when its last holder dies, SIGKILL included.

It is an flock on an open file, so nothing has to guess whether a lock is stale. The programs that a
sweep runs under it inherit the file: the lock outlives a sweep that was killed for as long as the
program that it started still works in the run's folder.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
from pathlib import Path
from typing import IO

from score_sde.errors import UserError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None


class Busy(Exception):
    """Another process holds the lock; the message says which."""


class NoLocks(UserError):
    """The file system has no locks."""


class Lock:
    """A lock, held while entered.

    Args:
        path: its file, which is made and stays.

    Raises:
        Busy: on entering, if another process, or another Lock of this one, holds it.
        NoLocks: the file system has none.
        UserError: the file cannot be made.
    """

    def __init__(self, path: Path):
        self._path = Path(path)
        self._file: IO[str] | None = None

    @property
    def fd(self) -> int:
        """The open file, for a program to inherit."""
        return self._file.fileno()

    def __enter__(self) -> Lock:
        while self._file is None:
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                file = self._path.open("a+")
            except OSError as error:
                raise _impossible(self._path, error) from error
            try:
                _take(self._path, file, "LOCK_EX")
            except (Busy, UserError):
                file.close()
                raise
            if _is(self._path, file):
                self._file = file
            else:  # who held it before has removed it
                file.close()
        self.note(os.getpid())
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._file = None

    def remove(self) -> None:
        """Remove its file while it is held, unless somebody has put another in its place.

        Who has opened it at the same time finds out that it is gone, and makes another.
        """
        with contextlib.suppress(OSError):
            if _is(self._path, self._file):
                self._path.unlink()

    def note(self, pid: int) -> None:
        """Write down the process that works under it, for the messages of others."""
        self._file.seek(0)
        self._file.truncate()
        json.dump({"pid": pid, "host": socket.gethostname()}, self._file)
        self._file.flush()


def holder(path: Path) -> str | None:
    """Who holds a lock, in words; None if nobody does."""
    try:
        # Shared, so that it can be asked about a study that one may only read.
        with Path(path).open() as file:
            _take(path, file, "LOCK_SH")
    except FileNotFoundError:
        return None
    except Busy as busy:
        return str(busy)
    except OSError as error:
        raise _impossible(path, error) from error
    return None


def _take(path: Path, file: IO[str], kind: str) -> None:
    """Lock an open file; raise Busy if another process holds the lock."""
    if fcntl is None:
        raise NoLocks(f"cannot lock {path}: this system has no locks")
    try:
        fcntl.flock(file, getattr(fcntl, kind) | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EAGAIN, errno.EACCES):
            raise NoLocks(f"cannot lock {path}: {error.strerror}") from error
        file.seek(0)
        raise Busy(_describe(file.read())) from error


def _is(path: Path, file: IO[str]) -> bool:
    """Whether an open file is still what lies at a path."""
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


def _impossible(path: Path, error: OSError) -> UserError:
    return UserError(f"cannot lock {path}: {error.strerror}")


def _describe(text: str) -> str:
    try:
        values = json.loads(text)
        return f"process {values['pid']} on {values['host']}"
    except (ValueError, KeyError, TypeError):  # read while it is being written
        return "another process"
