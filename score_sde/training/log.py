"""What a run writes down as it goes: metrics.csv and TensorBoard event files.

Both are on the side: whatever is wrong with them is a warning, and the run goes on.
"""

from __future__ import annotations

import csv
import io
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from score_sde.files import on_the_side, replacing, set_aside
from score_sde.training.events import Events

COLUMNS = ("step", "loss", "grad_norm", "learning_rate", "examples_per_second", "eval_loss")


class Metrics:
    """Rows of metrics.csv and the same numbers for TensorBoard.

    A run that resumes at a checkpoint forgets the rows behind it: they are computed again. A file
    that is damaged is set aside, as metrics.csv.damaged, and its good rows are kept.

    Args:
        folder: the run's folder.
        resume_step: keep only the rows up to this step.
        warn: told what is wrong, in a line; if None, it is printed as an error.
    """

    def __init__(
        self, folder: Path, resume_step: int = 0, warn: Callable[[str], None] | None = None
    ):
        self._warn = warn or _to_stderr
        self._file: BinaryIO | None = None
        self._board: Events | None = None
        path = Path(folder) / "metrics.csv"
        with on_the_side("metrics.csv", self._warn):
            kept, damage = read_rows(path)
            if damage:
                aside = set_aside(path)
                self._warn(
                    f"warning: {path} {damage}: it is now {aside.name}, and its good rows stay"
                )
            with replacing(path) as file:
                rows = (row for row in kept if int(row[0]) <= resume_step)
                file.write(_text([COLUMNS, *rows]).encode())
            self._file = path.open("ab", buffering=0)
        with on_the_side("tensorboard/", self._warn):
            self._board = Events(Path(folder) / "tensorboard", resume_step + 1)

    def write(self, step: int, **values: float) -> None:
        """Add a row; columns that are not given stay empty, and so does one that is NaN."""
        values = {name: value for name, value in values.items() if not math.isnan(value)}
        words = {"step": str(step), **{name: f"{value:.6g}" for name, value in values.items()}}
        if self._file is not None:
            try:
                self._file.write(_text([[words.get(name, "") for name in COLUMNS]]).encode())
            except OSError as error:
                self._warn(f"warning: metrics.csv is not written any more: {error.strerror}")
                self._file = None
        if self._board is not None:
            try:
                self._board.write(step, **values)
            except OSError as error:
                self._warn(f"warning: tensorboard/ is not written any more: {error.strerror}")
                self._board = None

    def close(self) -> None:
        """Flush and close the files."""
        for file, name in ((self._file, "metrics.csv"), (self._board, "tensorboard/")):
            if file is not None:
                with on_the_side(name, self._warn):
                    file.close()


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def read_rows(path: Path) -> tuple[list[list[str]], str]:
    """The rows of a metrics.csv that are whole, and what is wrong with the file.

    Args:
        path: the file; none is as good as an empty one.

    Returns:
        A text for each of COLUMNS in each row, and words that follow the file's name, or "".
    """
    if not path.exists():
        return [], ""
    if not path.is_file():
        return [], "is not a regular file"
    try:
        content = path.read_bytes()
    except OSError as error:
        return [], f"cannot be read ({error.strerror})"
    head, *lines = content.decode(errors="replace").split("\n")
    if content and head.rstrip("\r") != ",".join(COLUMNS):
        return [], "has other columns"
    rows = [line.rstrip("\r").split(",") for line in lines[:-1]]
    good = [row for row in rows if _is_row(row)]
    bad = len(rows) - len(good) + any(lines[-1:])  # a last line without its end was cut short
    return good, f"has {bad} damaged row(s)" if bad else ""


def _is_row(row: list[str]) -> bool:
    try:
        numbers = [float(text or 0) for text in row[1:]]
        whole = len(row) == len(COLUMNS) and not any(map(math.isnan, numbers))
        return whole and row[0].isdecimal() and int(row[0]) < 2**63
    except ValueError:
        return False


def _text(rows: list[list[str]]) -> str:
    file = io.StringIO(newline="")
    csv.writer(file).writerows(rows)
    return file.getvalue()
