"""What a run writes down as it goes: metrics.csv and TensorBoard event files."""

from __future__ import annotations

import contextlib
import csv
import math
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from score_sde.training.events import Events

COLUMNS = ("step", "loss", "grad_norm", "learning_rate", "examples_per_second", "eval_loss")


class Metrics:
    """Rows of metrics.csv and the same numbers for TensorBoard.

    A run that resumes at a checkpoint forgets the rows behind it: they are computed again. Where
    there is no room for a number, one warning says so, and the run goes on without it.

    Args:
        folder: the run's folder.
        resume_step: keep only the rows up to this step.
    """

    def __init__(self, folder: Path, resume_step: int = 0):
        path = Path(folder) / "metrics.csv"
        kept = []
        if path.exists():
            with path.open(newline="") as file:
                kept = [row for row in csv.DictReader(file) if int(row["step"]) <= resume_step]
        partial = path.with_suffix(".csv.partial")
        with partial.open("w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(kept)
        os.replace(partial, path)
        self._file = path.open("a", newline="")
        self._rows = csv.DictWriter(self._file, COLUMNS)
        self._board = Events(Path(folder) / "tensorboard", resume_step + 1)
        self._lost = False

    def write(self, step: int, **values: float) -> None:
        """Add a row; columns that are not given stay empty, and so does one that is NaN."""
        values = {name: value for name, value in values.items() if not math.isnan(value)}
        row = {"step": step, **{name: f"{value:.6g}" for name, value in values.items()}}
        with self._losing():
            self._rows.writerow(row)
            self._file.flush()
            self._board.write(step, **values)

    def close(self) -> None:
        """Flush and close the files."""
        with self._losing():
            self._file.close()
        with self._losing():
            self._board.close()

    @contextlib.contextmanager
    def _losing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if not self._lost:
                print(
                    f"warning: {self._file.name} and TensorBoard's files are incomplete: "
                    f"{error.strerror}",
                    file=sys.stderr,
                )
            self._lost = True
