"""What went wrong in reading a config, in one line: a recipe is a program, where anything can."""

from __future__ import annotations

import re
import traceback
from pathlib import Path

from score_sde.errors import UserError, printable

_LONGEST = 1000  # characters of a message
# What absl says of a value that was typed, and quotes as it is: with any lines that it has.
_OF_VALUE = re.compile("flag --?(?!-|config=)")


def describe(error: Exception, file: str) -> str:
    """One line for what went wrong in parsing, with its place if that is in the config file."""
    path = Path(file.split(":")[0])
    message = str(error).strip()
    if _OF_VALUE.match(message):
        message = printable(message)
    else:
        message = message.replace("\\n", "\n").splitlines()[-1]
    if len(message) > _LONGEST:  # it holds a value of any length
        message = f"{message[: _LONGEST // 2]} ... {message[-_LONGEST // 2 :]}"
    if message.count("'") % 2:  # what is left of the quotes around a message of several lines
        message = message.strip("'")
    ours = f"{UserError.__module__}.UserError: "
    if message.startswith(ours):  # what a recipe itself says to its user needs no place
        return message.removeprefix(ours)
    if isinstance(error, SyntaxError):
        return f"{error.filename}:{error.lineno}: {error.msg}"
    # ml_collections puts the traceback of some errors into the message of another.
    quoted = re.findall(rf'File "[^"]*{re.escape(path.name)}", line (\d+)', str(error))
    frames = [
        f.lineno for f in traceback.extract_tb(error.__traceback__) if _same(f.filename, path)
    ]
    lines = quoted or frames
    if not lines:
        return message
    kind = "" if quoted else f"{type(error).__name__}: "
    return f"{path}:{lines[-1]}: {kind}{message}"


def _same(filename: str, path: Path) -> bool:
    return Path(filename).exists() and Path(filename).samefile(path)
