"""What a run writes down as it goes: metrics.csv and TensorBoard event files.

Both are on the side: whatever is wrong with them is a warning, and the run goes on.
"""

from __future__ import annotations

import errno
import math
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from score_sde import metrics_csv
from score_sde.files import on_the_side, replacing, set_aside
from score_sde.metrics_csv import COLUMNS, NAME
from score_sde.training.events import Events


class Metrics:
    """Rows of metrics.csv and the same numbers for TensorBoard.

    A run that resumes at a checkpoint forgets the rows behind it: they are computed again. A file
    that is damaged is set aside, as metrics.csv.damaged, and its good rows are kept.

    Args:
        folder: the run's folder, which is there.
        resume_step: keep only the rows up to this step.
        warn: told what is wrong, in a line; if None, it is printed as an error.
    """

    def __init__(
        self, folder: Path, resume_step: int = 0, warn: Callable[[str], None] | None = None
    ):
        self._warn = warn or _to_stderr
        self._file: BinaryIO | None = None
        self._board: Events | None = None
        path = Path(folder) / NAME
        with on_the_side(NAME, self._warn):
            if not path.parent.is_dir():  # one that was removed is not made again
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
            kept, damage = metrics_csv.read_rows(path)
            if damage:
                aside = set_aside(path)
                self._warn(
                    f"warning: {path} {damage}: it is now {aside.name}, and its good rows stay"
                )
            with replacing(path) as file:
                rows = (row for row in kept if int(row[0]) <= resume_step)
                file.write(metrics_csv.text([COLUMNS, *rows]).encode())
            self._file = path.open("ab", buffering=0)
        with on_the_side("tensorboard/", self._warn):
            self._board = Events(Path(folder) / "tensorboard", resume_step + 1)

    def write(self, step: int, **values: float) -> None:
        """Add a row; columns that are not given stay empty, and so does one that is NaN."""
        values = {name: value for name, value in values.items() if not math.isnan(value)}
        words = {"step": str(step), **{name: f"{value:.6g}" for name, value in values.items()}}
        if self._file is not None:
            try:
                row = [words.get(name, "") for name in COLUMNS]
                self._file.write(metrics_csv.text([row]).encode())
            except OSError as error:
                self._warn(f"warning: {NAME} is not written any more: {error.strerror}")
                self._file = None
        if self._board is not None:
            try:
                self._board.write(step, **values)
            except OSError as error:
                self._warn(f"warning: tensorboard/ is not written any more: {error.strerror}")
                self._board = None

    def close(self) -> None:
        """Flush and close the files."""
        for file, name in ((self._file, NAME), (self._board, "tensorboard/")):
            if file is not None:
                with on_the_side(name, self._warn):
                    file.close()


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
