"""A run's folder, held by the program that trains it."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

import jax
import numpy as np
from jax.experimental import multihost_utils

from score_sde.errors import UserError
from score_sde.locks import Busy, Lock, NoLocks

LOCK = ".lock"


@contextlib.contextmanager
def held(workdir: Path) -> Iterator[None]:
    """Hold a run's folder, so that no other program trains in it; all processes enter it together.

    Its lock file is removed at the end, and a folder that was not there is made, and removed again
    if nothing was written to it.

    Args:
        workdir: the folder.

    Raises:
        UserError: another program trains in it, or it cannot be written.
    """
    with contextlib.ExitStack() as stack:
        refused: UserError | None = None
        if jax.process_index() == 0:
            try:
                stack.enter_context(_locked(Path(workdir)))
            except UserError as error:
                refused = error
        if jax.process_count() > 1:
            failed = multihost_utils.broadcast_one_to_all(np.bool_(refused is not None))
            if failed and refused is None:
                refused = UserError(f"{workdir} was refused: the first process says why")
        if refused is not None:
            raise refused
        yield


@contextlib.contextmanager
def _locked(workdir: Path) -> Iterator[None]:
    lock, new = Lock(workdir / LOCK), not workdir.exists()
    try:
        lock.__enter__()
    except Busy as busy:
        raise UserError(
            f"{workdir} is being trained by {busy}: wait for it, stop it, or give another --workdir"
        ) from busy
    except NoLocks as error:
        print(f"warning: {error}. See to it that nobody else trains in it", file=sys.stderr)
        yield
        return
    except UserError as error:
        reason = error.__cause__.strerror
        raise UserError(f"cannot write to {workdir}: {reason}. Give another --workdir") from error
    try:
        yield
    finally:
        lock.remove()
        if new:
            with contextlib.suppress(OSError):  # something was written to it
                workdir.rmdir()
        lock.__exit__()
