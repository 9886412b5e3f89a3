"""What is due after a step of training, and what a run's folder and the terminal show of it."""

from __future__ import annotations

from pathlib import Path

import jax

from score_sde import report
from score_sde.runs import begun
from score_sde.runs.experiment import Experiment
from score_sde.runs.positions import Course, Positions
from score_sde.runs.shown import Pictures
from score_sde.runs.validation import HeldOutLoss
from score_sde.training.log import Metrics
from score_sde.training.optimizer import learning_rate_schedule
from score_sde.training.progress import Progress
from score_sde.training.stability import Watch
from score_sde.training.state import TrainState
from score_sde.training.window import Window


class Due:
    """Does what is due, each every so many steps.

    Args:
        experiment: what is trained.
        workdir: the run's folder.
        positions: saves checkpoints and snapshots.
        window: has the metrics of the steps.
        held_out_loss: of a state, or None for none.
        pictures: drawn with a state, or None for none.
        start: the step that training goes on from.

    Attributes:
        progress: says what is done.
    """

    def __init__(
        self,
        experiment: Experiment,
        workdir: Path,
        positions: Positions,
        window: Window,
        held_out_loss: HeldOutLoss | None,
        pictures: Pictures | None,
        start: int,
    ):
        options = experiment.training
        self._options, self._workdir, self._positions = options, workdir, positions
        self._window, self._held_out_loss, self._pictures = window, held_out_loss, pictures
        self._rate = learning_rate_schedule(experiment.optim, options.steps)
        self._first = jax.process_index() == 0
        self._metrics = Metrics(workdir, start) if self._first else None
        self.progress = Progress(start, options.steps, quiet=not self._first)
        self._every = {
            "log": options.log_every,
            "eval": options.eval_every if held_out_loss else 0,
            "sample": options.sample_every if pictures else 0,
            "checkpoint": options.checkpoint_every,
            "snapshot": options.ema_snapshot_every,
        }

    def after(self, state: TrainState, step: int, course: Course) -> None:
        """A row of metrics, the held-out loss, a snapshot, a checkpoint, a picture.

        Args:
            state: after the step.
            step: that was dispatched last.
            course: that it is of.

        Raises:
            Unstable: training cannot go on from one of the steps since the last time.
            CheckpointError: what was being saved could not be.
        """
        due = {name for name, every in self._every.items() if every > 0 and step % every == 0}
        if step == self._options.steps:
            due.add("log")
        self.progress.move(step)
        if not due:
            return
        self._window.drain(step, course.watch)
        # Before more is written, and steps are taken that are not saved.
        self._positions.check()
        row = self._row(step, course.watch) if "log" in due else {}
        if "eval" in due:
            row["eval_loss"] = self._held_out_loss(state)
        if row and self._metrics:
            self._metrics.write(step, **row)
        if "log" in due:
            rate = row["examples_per_second"]
            left = (self._options.steps - step) * self._options.batch_size / rate
            self.progress.report(step, row["loss"], rate, left, course.watch.counts())
        if self._first and due & {"snapshot", "checkpoint", "sample"}:
            begun.check_still_there(self._workdir)  # each of them would make it again
        if "snapshot" in due:
            self._positions.snapshots.save(state)
        if "checkpoint" in due:
            self._positions.save(state, step, course)
        if "sample" in due:
            self._pictures.draw(state, step, self.progress.say)
        if self._first and due & {"sample", "checkpoint"}:
            report.refresh(self._workdir)
        self._window.start_clock()

    def _row(self, step: int, watch: Watch) -> dict[str, float]:
        rate = float(self._rate(step - 1 - watch.skipped))
        row = self._window.row(self._options.batch_size)
        return {**row, "learning_rate": rate, **watch.counts()}

    def back_to(self, step: int) -> None:
        """Training went back to a step: what is after it is forgotten."""
        if self._metrics:
            self._metrics.close()
            self._metrics = Metrics(self._workdir, step)
        self.progress.move(step)

    def close(self) -> None:
        """Leave files and the terminal tidy."""
        self.progress.close()
        if self._metrics:
            self._metrics.close()
