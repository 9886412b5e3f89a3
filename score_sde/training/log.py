"""What a run writes down as it goes: metrics.csv and TensorBoard event files."""

from __future__ import annotations

import csv
import math
import os
from pathlib import Path

COLUMNS = ("step", "loss", "grad_norm", "learning_rate", "examples_per_second", "eval_loss")


class Metrics:
    """Rows of metrics.csv and the same numbers for TensorBoard.

    A run that resumes at a checkpoint forgets the rows behind it: they are computed again.

    Args:
        folder: the run's folder.
        resume_step: keep only the rows up to this step.
    """

    def __init__(self, folder: Path, resume_step: int = 0):
        from tensorboardX import SummaryWriter

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
        self._board = SummaryWriter(str(Path(folder) / "tensorboard"), purge_step=resume_step + 1)

    def write(self, step: int, **values: float) -> None:
        """Add a row; columns that are not given stay empty, and so does one that is NaN."""
        values = {name: value for name, value in values.items() if not math.isnan(value)}
        self._rows.writerow({"step": step, **{k: f"{v:.6g}" for k, v in values.items()}})
        self._file.flush()
        for name, value in values.items():
            self._board.add_scalar(name, value, step)

    def close(self) -> None:
        """Flush and close the files."""
        self._file.close()
        self._board.close()
