"""What goes wrong with a checkpoint, as one line each: errors of Orbax come from many threads."""

from __future__ import annotations

import logging
import os
import re
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from score_sde.errors import UserError, first_line

# How errors begin that say nothing about the bytes on the disk.
_OF_THE_MACHINE = ("RESOURCE_EXHAUSTED", "PERMISSION_DENIED")
_LONGEST = 200
_STATUS = re.compile(r"[A-Z]+(_[A-Z]+)*: ")  # how all errors of TensorStore begin


class CheckpointError(UserError):
    """A checkpoint that is missing, does not fit or cannot be written; the message says more."""


class DamagedError(CheckpointError):
    """A checkpoint that is not what was written.

    Attributes:
        reason: how that shows, in words.
    """

    def __init__(self, message: str, reason: str):
        super().__init__(message)
        self.reason = reason


def one_line(error: Exception) -> str:
    """What an error of a library says, short."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    # At the end of what TensorStore says, which is long.
    if found := re.search(r"os_error_code='(\d+)'", str(error)):
        return os.strerror(int(found[1]))
    text = first_line(error)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ..."


def unwritten(
    folder: Path, step: int | None, error: Exception, good: int | None
) -> CheckpointError:
    """What is said of a checkpoint that cannot be written.

    Args:
        folder: of the checkpoints.
        step: of the checkpoint; None if none can be written.
        error: why.
        good: the step of the newest that is there; None if there is none.
    """
    last = (
        "There is no good checkpoint yet: the same command begins again"
        if good is None
        else f"Last good checkpoint: {folder / str(good)}. The same command goes on from there"
    )
    what = "checkpoints" if step is None else f"checkpoint {step}"
    return CheckpointError(f"{what} cannot be written to {folder}: {one_line(error)}. {last}")


def of_the_machine(error: Exception) -> bool:
    """Whether reading failed for a reason that is no damage: no memory, no permission."""
    machine = isinstance(error, MemoryError | PermissionError)
    return machine or str(error).startswith(_OF_THE_MACHINE)


def silence_orbax() -> None:
    """Keep Orbax and TensorStore from printing the tracebacks of what they raise as well.

    Their threads log them; coroutines and answers that nobody waits for any more go to Python's
    hook. What is not theirs is printed as before.
    """
    for name in ("absl", "asyncio"):
        logging.getLogger(name).addFilter(_of_others)  # the same filter is added once
    if not isinstance(sys.unraisablehook, _Hook):
        sys.unraisablehook = _Hook(sys.unraisablehook)


class _Hook:
    """sys.unraisablehook, but for what is theirs."""

    def __init__(self, before: Callable[[Any], object]):
        self._before = before

    def __call__(self, what: Any) -> None:
        code = getattr(what.object, "cr_code", None)
        # A thread had an answer for a loop that had ended with an error.
        late = what.object is None and str(what.exc_value) == "Event loop is closed"
        if not late and not (code and "/orbax/" in code.co_filename):
            self._before(what)


def _of_others(entry: logging.LogRecord) -> bool:
    _, error, trace = entry.exc_info or (None, None, None)
    if isinstance(error, ValueError) and _STATUS.match(str(error)):
        return False
    raised = traceback.extract_tb(trace)
    text = " ".join([entry.pathname, entry.getMessage(), *(frame.filename for frame in raised)])
    return "/orbax/" not in text and "tensorstore" not in text
