"""A lock that the operating system gives back when its last holder dies, SIGKILL included.

It is an flock on an open file. The programs that are run under it inherit the file, so the lock
outlives a sweep that was killed for as long as the program that it started still works in the run's
folder; nothing has to guess whether a lock is stale.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
from pathlib import Path
from typing import IO

from score_sde.errors import UserError


class Busy(Exception):
    """Another process holds the lock; the message says which."""


class Lock:
    """A lock, held while entered.

    Args:
        path: its file, which is made and stays.

    Raises:
        Busy: on entering, if another process, or another Lock of this one, holds it.
        UserError: the file cannot be made, or the file system has no locks.
    """

    def __init__(self, path: Path):
        self._path = Path(path)
        self._file: IO[str] | None = None

    @property
    def fd(self) -> int:
        """The open file, for a program to inherit."""
        return self._file.fileno()

    def __enter__(self) -> Lock:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            file = self._path.open("a+")
        except OSError as error:
            raise _impossible(self._path, error) from error
        try:
            _take(self._path, file, fcntl.LOCK_EX)
        except (Busy, UserError):
            file.close()
            raise
        self._file = file
        self.note(os.getpid())
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

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
            _take(path, file, fcntl.LOCK_SH)
    except FileNotFoundError:
        return None
    except Busy as busy:
        return str(busy)
    except OSError as error:
        raise _impossible(path, error) from error
    return None


def _take(path: Path, file: IO[str], kind: int) -> None:
    """Lock an open file; raise Busy if another process holds the lock."""
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EAGAIN, errno.EACCES):
            raise _impossible(path, error) from error
        file.seek(0)
        raise Busy(_describe(file.read())) from error


def _impossible(path: Path, error: OSError) -> UserError:
    return UserError(f"cannot lock {path}: {error.strerror}")


def _describe(text: str) -> str:
    try:
        values = json.loads(text)
        return f"process {values['pid']} on {values['host']}"
    except (ValueError, KeyError, TypeError):  # read while it is being written
        return "another process"
