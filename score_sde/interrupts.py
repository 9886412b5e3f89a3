"""Ctrl-C in the programs of this package: an import ends at once, without a traceback."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from pathlib import Path

_MAIN = Path(__file__).resolve().parent.parent / "main.py"  # of a checkout


def is_ours(argv: Sequence[str], started: Sequence[str]) -> bool:
    """Whether Python was started for a program of this package, whose modules it is importing.

    Args:
        argv: sys.argv, as it is while the package itself is imported: its first is "-m" until the
            module is found that `python -m` names.
        started: sys.orig_argv.
    """
    if argv[:1] == ["-m"]:
        return any(word.removeprefix("-m").split(".")[0] == __package__ for word in started)
    program = Path(*argv[:1])
    return program.stem == "score-sde" or program.resolve() == _MAIN


def end_at_once() -> None:
    """Let Ctrl-C end the process if it is a program of this package.

    While packages are imported it would print their tracebacks, and some of them swallow it. Where
    the package is used by another program the signals are that program's.
    """
    if is_ours(sys.argv, sys.orig_argv):
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def listen() -> None:
    """From now on Ctrl-C raises KeyboardInterrupt: there is something to bring in order."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
