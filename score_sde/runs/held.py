"""A run's folder, held by the program that trains it, and files of samples, by what draws them."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import jax
import numpy as np
from jax.experimental import multihost_utils

from score_sde import interrupts
from score_sde.errors import UserError
from score_sde.locks import Busy, Lock, NoLocks

LOCK = ".lock"


def held(workdir: Path) -> AbstractContextManager[None]:
    """Hold a run's folder, so that no other program trains in it; all processes enter it together.

    Its lock file is removed at the end, and a folder that was not there is made, and removed again
    if nothing was written to it.

    Args:
        workdir: the folder.

    Raises:
        UserError: another program trains in it, or it cannot be written.
    """
    workdir = Path(workdir)
    what = f"{workdir} is being trained", "trains in it", "--workdir"
    return _by_the_first(_locked(workdir / LOCK, *what))


def drawing(arrays: Path) -> AbstractContextManager[None]:
    """Hold the files of samples as `held` does a run, so that no other program draws them.

    Args:
        arrays: the first of them.

    Raises:
        UserError: another program does, or they cannot be written.
    """
    lock = arrays.with_name(f".{arrays.name}{LOCK}")
    return _by_the_first(_locked(lock, f"{arrays} is being drawn", "draws it", "--out"))


@contextlib.contextmanager
def _by_the_first(lock: AbstractContextManager[None]) -> Iterator[None]:
    """A lock that the first process takes, which all enter or none."""
    with contextlib.ExitStack() as stack:
        refused: UserError | None = None
        if jax.process_index() == 0:
            try:
                stack.enter_context(lock)
            except UserError as error:
                refused = error
        if jax.process_count() > 1:
            failed = multihost_utils.broadcast_one_to_all(np.bool_(refused is not None))
            if failed and refused is None:
                refused = UserError("it was refused: the first process says why")
        if refused is not None:
            raise refused
        yield


@contextlib.contextmanager
def _locked(path: Path, busy: str, does: str, flag: str) -> Iterator[None]:
    """Hold a lock.

    Args:
        path: of its file.
        busy: what is true if another program holds it: "runs/a is being trained".
        does: what this one does: "trains in it".
        flag: that names another place.
    """
    lock, folder = Lock(path), path.parent
    new = not folder.exists()
    try:
        lock.__enter__()
    except Busy as other:
        raise UserError(
            f"{busy} by {other}: wait for it, stop it, or give another {flag}"
        ) from other
    except NoLocks as error:
        print(f"warning: {error}. See to it that nobody else {does}", file=sys.stderr)
        yield
        return
    except UserError as error:
        reason = error.__cause__.strerror
        raise UserError(f"cannot write to {folder}: {reason}. Give another {flag}") from error

    def remove() -> None:
        lock.remove()
        if new:
            with contextlib.suppress(OSError):  # something was written to it
                folder.rmdir()

    try:
        with interrupts.removing(remove):
            yield
    finally:
        remove()
        lock.__exit__()
