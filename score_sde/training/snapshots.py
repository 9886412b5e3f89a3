"""Snapshots of the power-function averages of a run: written as checkpoints are, and all kept."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax

from score_sde.training import checkpoint_folder
from score_sde.training.checkpoints import Checkpoints
from score_sde.training.options import POWER
from score_sde.training.state import TrainState

FOLDER = "ema_snapshots"  # in that of a run


class Snapshots:
    """The snapshots of one run.

    Args:
        workdir: the run's folder.
    """

    def __init__(self, workdir: Path):
        self._kept = Checkpoints(Path(workdir) / FOLDER, keep_last=None)

    def steps(self) -> list[int]:
        """The steps of those that are there, in order."""
        return checkpoint_folder.steps(self._kept.folder)

    def save(self, state: TrainState) -> None:
        """Start to save those of a step; nothing if a run that goes on comes to it again.

        Raises:
            CheckpointError: it cannot be written, or the one before could not be.
        """
        if int(jax.device_get(state.step)) not in self.steps():
            self._kept.save_averages(state, [name for name in state.ema if name.startswith(POWER)])

    def remove_after(self, step: int) -> None:
        """Remove those of later steps; see Checkpoints."""
        self._kept.remove_after(step)

    def averages(self, step: int, names: Sequence[str], params: Any) -> list[Any]:
        """The averages of one of `steps`; see Checkpoints."""
        return self._kept.averages(step, names, params)

    def check(self) -> None:
        """Raise CheckpointError if what was being saved could not be; it waits for nothing."""
        self._kept.check()

    def close(self) -> None:
        """Wait for what is being saved, and release what is held."""
        self._kept.close()
