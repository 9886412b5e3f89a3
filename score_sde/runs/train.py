"""The training loop, from the first step to the last, through any number of interruptions.

Randomness is a function of (seed, step) and of the position in the global batch, and the batches
are a function of (seed, step) too. So a run that stops anywhere and resumes from a checkpoint
takes the same steps as one that never stopped.
"""

from __future__ import annotations

import dataclasses
import math
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh

from score_sde import report, terminal
from score_sde.data import DataError, Source
from score_sde.models import ENCODED
from score_sde.runs import captions, rewinding, shown
from score_sde.runs.due import Due
from score_sde.runs.experiment import Experiment
from score_sde.runs.positions import Course, Positions
from score_sde.runs.validation import HeldOutLoss
from score_sde.training import memory
from score_sde.training.calls import Calls
from score_sde.training.optimizer import optimizer
from score_sde.training.sharding import check_batch, check_tensor, replicated, to_devices
from score_sde.training.signals import StopRequest
from score_sde.training.stability import Unstable
from score_sde.training.state import NOTHING, TrainState, Weights
from score_sde.training.step import make_train_step
from score_sde.training.window import Window


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How training ended.

    Attributes:
        start: the step it began at.
        step: the last step done, which is saved.
        stopped_by: the signal that ended it early, or None if it is complete.
    """

    start: int
    step: int
    stopped_by: signal.Signals | None


def check(experiment: Experiment, mesh: Mesh) -> None:
    """Raise UserError if it cannot fit on the devices, or its network lacks what encoders tell.

    Nothing is compiled, and no array made.
    """
    if experiment.config.model.name in ENCODED and not experiment.text.field:
        captions.check(experiment, {})
    training = experiment.training
    numbers = math.prod(experiment.space.shape)
    memory.check_training(training, experiment.parameters, numbers, mesh)
    memory.check(
        f"config.evaluation.batch_size={experiment.evaluation_batch_size}",
        4 * numbers * experiment.evaluation_batch_size // jax.process_count(),
        memory.of_devices(),
        "give smaller batches",
    )
    name = f"config.model.name={experiment.config.model.name}"
    check_tensor(mesh, experiment.network.splits, "config.training", name)
    check_batch(mesh, "config.training.batch_size", training.batch_size, training.accumulate)


def train(
    experiment: Experiment,
    mesh: Mesh,
    train_set: Source,
    held_out: Source | None,
    workdir: Path,
    start: Weights = NOTHING,
    begin: Callable[[], None] = lambda: None,
) -> Outcome:
    """Train, from the newest checkpoint that is not damaged if there is one.

    Args:
        experiment: what to train.
        mesh: the devices.
        train_set: the training examples.
        held_out: examples for the held-out loss; None for no such loss.
        workdir: the run's folder, which exists.
        start: what it starts from where there is no checkpoint; see init_from.
        begin: called when all that can be refused has passed, before anything is written.

    Raises:
        DivergedError: the loss or the gradient is no longer finite, or spikes again and again.
        CheckpointError: no checkpoint can be read, or one cannot be written.
        UserError: a step needs more memory than there is; none was taken.
        NobodyReads, UserError, OSError: it stopped early and saved, because it could not print.
    """
    return _Training(experiment, mesh, train_set, held_out, Path(workdir), start).run(begin)


class _Training:
    """What takes steps from one position to the next, and what is done on the way."""

    def __init__(
        self,
        experiment: Experiment,
        mesh: Mesh,
        train_set: Source,
        held_out: Source | None,
        workdir: Path,
        start: Weights,
    ):
        check(experiment, mesh)
        self.experiment, self.workdir, self.train_set = experiment, workdir, train_set
        self.options = options = experiment.training
        self.first = jax.process_index() == 0
        self.stop, self.printing = StopRequest(), terminal.Deferred()
        update = optimizer(experiment.optim, options.steps, experiment.rates)
        self.positions = Positions(experiment, mesh, train_set, workdir, update, start)
        fixed = to_devices(replicated(mesh), jax.device_get(experiment.fixed))
        train_steps = jax.jit(
            make_train_step(
                experiment.loss,
                update,
                options.accumulate,
                experiment.network.project,
                skip=options.skip_nonfinite > 0,
            ),
            donate_argnums=0,
            # Without this XLA may choose another sharding for the state than it came with.
            out_shardings=(self.positions.shardings, replicated(mesh)),
        )
        self.window = Window()
        self.calls = Calls(train_steps, fixed, mesh, options, self.window)
        self.held_out_loss = HeldOutLoss(experiment, mesh, held_out, fixed) if held_out else None
        self.pictures = shown.of(experiment, mesh, train_set, held_out, workdir)

    def run(self, begin: Callable[[], None]) -> Outcome:
        with self.stop:
            found = self.positions.resume()
            if self.first:
                self.positions.checkpoints.prepare()
            begin()
            with self.printing:
                outcome = self._run(found)
        if self.printing.error is not None:  # it stopped for that, and has saved what was done
            raise self.printing.error
        return outcome

    def _run(self, found: tuple[TrainState, Course] | None) -> Outcome:
        state, course = found or self.positions.new()
        start = int(state.step)
        due = Due(
            self.experiment,
            self.workdir,
            self.positions,
            self.window,
            self.held_out_loss,
            self.pictures,
            start,
        )
        say = due.progress.say
        if start:
            say(f"going on from step {start}")
        if self.pictures and self.first:
            self.pictures.draw_real(self.train_set, say)
        try:
            while isinstance(end := self._train(state, course, due), Unstable):
                del state  # its memory, before the one of a checkpoint takes as much
                state, course, said = rewinding.go_back(end, course, self.positions, self.options)
                due.back_to(int(state.step))
                say(said)
            if self.first:
                report.refresh(self.workdir)
            complete = end >= self.options.steps
            # Where another process was asked to stop, this one did not see the signal.
            return Outcome(start, end, None if complete else self.stop.received or signal.SIGTERM)
        finally:
            course.batches.close()
            due.close()
            self.positions.close()

    def _train(self, state: TrainState, course: Course, due: Due) -> int | Unstable:
        """Train from a state to the last step or a request to stop: the step, which is saved.

        Or to a step that it cannot go on from.
        """
        start = step = int(state.step)
        key = course.key(self.experiment.seed)
        self.window.start()
        try:
            try:
                while step < self.options.steps and not self._stop_everywhere(step):
                    given = self._next(course, self._steps_of_call(step))
                    state = self.calls(state, given, key, due.progress.say)
                    # Until the first step is done Ctrl-C loses nothing, and acts at once.
                    self.stop.also_on_interrupt()
                    step += len(given)
                    due.after(state, step, course)
            except DataError as error:
                if step == start or jax.process_count() > 1:  # others wait for the step
                    raise
                self._save(state, step, course)
                raise DataError(f"{error}. Step {step} is saved") from error
            self._save(state, step, course)
        except Unstable as unstable:
            return unstable.with_traceback(None)  # which holds the state
        return step

    def _next(self, course: Course, count: int) -> list[Any]:
        try:
            return [next(course.batches) for _ in range(count)]
        except DataError as error:
            if self.experiment.config.data.replace_damaged:
                raise
            how = "or give --config.data.replace_damaged=True to train on with another in its place"
            raise DataError(f"{error}; {how}") from error

    def _steps_of_call(self, step: int) -> int:
        """Up to the next multiple of steps_per_call, where all that is due falls."""
        fused = self.options.steps_per_call
        return min(fused - step % fused, self.options.steps - step)

    def _save(self, state: TrainState, step: int, course: Course) -> None:
        """Once all steps have been looked at."""
        self.window.drain(step, course.watch)
        self.positions.save(state, step, course)

    def _stop_everywhere(self, step: int) -> bool:
        """Whether any process was asked to stop, or cannot print; all must agree, at one step."""
        asked = self.stop.received is not None or self.printing.error is not None
        if jax.process_count() == 1:
            return asked
        if step % self.options.log_every:
            return False
        return bool(np.any(multihost_utils.process_allgather(jnp.asarray(asked))))
