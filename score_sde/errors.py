"""Errors that are the user's to mend, and a solver that gave up."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

# How the message begins that a solver gives up with; under jit it arrives inside a longer one.
NOT_SOLVED = "the ODE was not solved"


class UserError(ValueError):
    """Bad input. The message is one line that says what to do; the command line exits with 2.

    Names of files, and whatever else it quotes, may hold line ends and commands to a terminal: what
    cannot be printed is escaped as in Python.
    """

    def __str__(self) -> str:
        return printable(super().__str__())


def printable(text: str) -> str:
    """A text whose characters that cannot be printed are escaped, so that it is one line."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def is_failure(error: BaseException) -> bool:
    """Whether a library failed: by an exception, or by a panic of its Rust, which is none.

    The type of a panic has a module that cannot be imported.

    Args:
        error: what was raised.
    """
    return isinstance(error, Exception) or type(error).__name__ == "PanicException"


def first_line(error: BaseException) -> str:
    """What an error of a library says, in one line; the name of its type if it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


@contextlib.contextmanager
def solver_error_as(error: type[Exception]) -> Iterator[None]:
    """Turn the RuntimeError of a solver that gave up, raised within, into an `error`: one line."""
    try:
        yield
    except RuntimeError as caught:
        reason = [line for line in str(caught).splitlines() if NOT_SOLVED in line]
        if not reason:
            raise
        raise error(reason[0][reason[0].index(NOT_SOLVED) :]) from caught
