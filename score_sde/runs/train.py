"""The training loop, from the first step to the last, through any number of interruptions.

Randomness is a function of (seed, step) and of the position in the global batch, and the batches
are a function of (seed, step) too. So a run that stops anywhere and resumes from a checkpoint
takes the same steps as one that never stopped.
"""

from __future__ import annotations

import dataclasses
import math
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding

from score_sde import report, terminal
from score_sde.data import COUNTS, DataError, Source, eval_batches, train_batches
from score_sde.errors import UserError
from score_sde.files import on_the_side
from score_sde.runs import drawn, shown
from score_sde.runs.build import Experiment
from score_sde.runs.config import to_json
from score_sde.training import memory
from score_sde.training.checkpoints import Checkpoints
from score_sde.training.log import Metrics
from score_sde.training.optimizer import learning_rate_schedule, optimizer
from score_sde.training.progress import Progress
from score_sde.training.sharding import (
    batch_sharding,
    check_batch,
    check_tensor,
    reader,
    replicated,
    state_sharding,
    to_devices,
)
from score_sde.training.signals import StopRequest
from score_sde.training.snapshots import Snapshots
from score_sde.training.stability import MOST, Unstable, Watch
from score_sde.training.state import NOTHING, TrainState, Weights, init_state
from score_sde.training.step import make_eval_step, make_train_step
from score_sde.training.window import Window

if TYPE_CHECKING:
    from grain import DatasetIterator


class DivergedError(RuntimeError):
    """The loss or its gradient is not finite, or spikes however often training goes back."""


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
    """Raise UserError if it cannot fit on the devices; nothing is compiled, no array made."""
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
    check_batch(mesh, "config.evaluation.batch_size", experiment.evaluation_batch_size)


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
    """The parts of a run that share the state. `run` is the loop."""

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
        self.experiment, self.mesh, self.workdir, self.start = experiment, mesh, workdir, start
        self.options = experiment.training
        self.train_set, self.held_out = train_set, held_out
        self.first = jax.process_index() == 0
        self.key = jax.random.key(experiment.seed)
        self.optimizer = optimizer(experiment.optim, self.options.steps)
        self.schedule = learning_rate_schedule(experiment.optim, self.options.steps)
        self.ema = self.options.averages[0]
        self.checkpoints = Checkpoints(
            workdir / "checkpoints", self.options.keep_last, self.options.keep_every
        )
        self.snapshots = Snapshots(workdir)
        # One function object, so that JAX traces it once for the shapes and for the arrays.
        self._init = self._drawn
        self.shapes = jax.eval_shape(self._init, self.key, start)
        self.shardings = state_sharding(mesh, self.shapes, experiment.network.splits)
        self.train_steps = jax.jit(
            make_train_step(
                experiment.loss,
                self.optimizer,
                self.options.accumulate,
                experiment.network.project,
                skip=self.options.skip_nonfinite > 0,
            ),
            donate_argnums=0,
            # Without this XLA may choose another sharding for the state than it came with.
            out_shardings=(self.shardings, replicated(mesh)),
        )
        self.compiled = {}
        self.window = Window()
        self.watch = Watch(self.options.skip_nonfinite, self.options.rewind)
        self.eval_step = jax.jit(make_eval_step(experiment.loss))
        self.fixed = to_devices(replicated(mesh), jax.device_get(experiment.fixed))
        self.shown = shown.of(experiment, mesh, train_set, held_out)

    def run(self, begin: Callable[[], None]) -> Outcome:
        with StopRequest() as stop:
            found = self._resume()
            if self.first:
                self.checkpoints.prepare()
            begin()
            with terminal.Deferred() as self.printing:
                outcome = self._run(stop, found)
        if self.printing.error is not None:  # it stopped for that, and has saved what was done
            raise self.printing.error
        return outcome

    def _run(self, stop: StopRequest, found: tuple[TrainState, DatasetIterator] | None) -> Outcome:
        state, batches = found or (self._init_state(), self._batches())
        start = int(state.step)
        self.metrics = Metrics(self.workdir, start) if self.first else None
        self.progress = Progress(start, self.options.steps, quiet=not self.first)
        if start:
            self.progress.say(f"going on from step {start}")
        if self.shown and self.first:
            self._show_real()
        try:
            while isinstance(end := self._train(state, batches, stop), Unstable):
                del state  # its memory, before the one of a checkpoint takes as much
                state, batches = self._go_back(end, batches)
            if self.first:
                report.refresh(self.workdir)
            complete = end >= self.options.steps
            # Where another process was asked to stop, this one did not see the signal.
            return Outcome(start, end, None if complete else stop.received or signal.SIGTERM)
        finally:
            batches.close()
            self.progress.close()
            self.checkpoints.close()
            self.snapshots.close()
            if self.metrics:
                self.metrics.close()

    def _train(
        self, state: TrainState, batches: DatasetIterator, stop: StopRequest
    ) -> int | Unstable:
        """Train from a state to the last step or a request to stop: the step, which is saved.

        Or to a step that it cannot go on from.
        """
        start = step = int(state.step)
        ahead = batches.get_state()["next_index"] - start  # of the steps, where any were passed
        self.window.start()
        try:
            try:
                while step < self.options.steps and not self._stop_everywhere(stop, step):
                    given = self._next(batches, self._steps_of_call(step))
                    state = self._advance(state, given)
                    # Until the first step is done Ctrl-C loses nothing, and acts at once.
                    stop.also_on_interrupt()
                    step += len(given)
                    self._events(state, step, _place(ahead + step))
            except DataError as error:
                if step == start or jax.process_count() > 1:  # others wait for the step
                    raise
                self._save(state, _place(ahead + step))
                raise DataError(f"{error}. Step {step} is saved") from error
            self._save(state, _place(ahead + step))
        except Unstable as unstable:
            # From where it would go on without that step: batches are counted as steps are.
            self.place = _place(ahead + unstable.step)
            return unstable.with_traceback(None)  # which holds the state
        return step

    def _next(self, batches: DatasetIterator, count: int) -> list[Any]:
        try:
            return [next(batches) for _ in range(count)]
        except DataError as error:
            if self.experiment.config.data.replace_damaged:
                raise
            how = "or give --config.data.replace_damaged=True to train on with another in its place"
            raise DataError(f"{error}; {how}") from error

    def _steps_of_call(self, step: int) -> int:
        """Up to the next multiple of steps_per_call, where all that is due falls."""
        fused = self.options.steps_per_call
        return min(fused - step % fused, self.options.steps - step)

    def _drawn(self, key: jax.Array, start: Weights) -> TrainState:
        network, averages = self.experiment.network, self.options.averages
        return init_state(key, network, self.optimizer, averages, start)

    def _batches(self) -> DatasetIterator:
        part, parts = reader(self.mesh)
        return train_batches(
            self.train_set,
            batch_size=self.options.batch_size,
            seed=self.experiment.seed,
            process_index=part,
            process_count=parts,
        )

    def _init_state(self) -> TrainState:
        drawn = jax.random.fold_in(self.key, 0), self.start
        lowered = jax.jit(self._init, out_shardings=self.shardings).lower(*drawn)
        # It runs once: on a CPU, optimising it would take longer than it could save.
        on_cpu = self.mesh.devices.flat[0].platform == "cpu"
        init = lowered.compile({"xla_backend_optimization_level": 0} if on_cpu else None)
        return init(*drawn)

    def _resume(self) -> tuple[TrainState, DatasetIterator] | None:
        """The state and the batches from the newest checkpoint; None if there is none."""

        def place(array: jax.ShapeDtypeStruct, sharding: NamedSharding) -> jax.ShapeDtypeStruct:
            return jax.ShapeDtypeStruct(array.shape, array.dtype, sharding=sharding)

        found = self.checkpoints.resume(jax.tree.map(place, self.shapes, self.shardings))
        if found is None:
            return None
        state, data_state = found
        batches = self._batches()
        self.watch = self.watch.resumed(data_state)
        batches.set_state(_place(data_state["next_index"]))
        return state, batches

    def _go_back(
        self, unstable: Unstable, batches: DatasetIterator
    ) -> tuple[TrainState, DatasetIterator]:
        """What training goes on from after a step that it cannot go on from.

        All that decides it stands in the checkpoint or is of a step, so that a run that is killed
        and resumes, before or after, goes the same way.

        Args:
            unstable: the step.
            batches: those until now, which are closed.
        """
        if not self.options.rewind:
            raise self._diverged(unstable.said)
        batches.close()
        last = self.checkpoints.go_back(self.options.checkpoint_every)
        self.snapshots.remove_after(last)
        rewinds, self.watch = self.watch.rewinds + 1, self.watch.resumed({})
        state, batches = self._resume() or (self._init_state(), self._batches())
        times, start = rewinds - self.watch.rewinds, int(state.step)
        if times > MOST:
            batches.close()
            raise self._diverged(f"{unstable.said}, though training went back {MOST} times")
        self.watch.rewinds = rewinds
        batches.set_state(self.place)
        if self.metrics:
            self.metrics.close()
            self.metrics = Metrics(self.workdir, start)
        self.progress.move(start)
        where = f"checkpoint {start}" if start else "the beginning"
        again = f", {times} of {MOST} times" if times > 1 else ""
        self.progress.say(f"{unstable.said}: back to {where}{again}, with other batches and noise")
        return state, batches

    def _key_of_steps(self) -> jax.Array:
        """Each time that training goes back it goes on with another."""
        if not self.watch.rewinds:
            return jax.random.fold_in(self.key, 1)
        return jax.random.fold_in(jax.random.fold_in(self.key, 4), self.watch.rewinds)

    def _advance(self, state: TrainState, batches: list[Any]) -> TrainState:
        """Dispatch one call, while another one is under way."""
        self.window.wait()
        stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *batches)
        arguments = (
            state,
            to_devices(batch_sharding(self.mesh, leading=1), stacked),
            self.fixed,
            self._key_of_steps(),
        )
        if len(batches) not in self.compiled:
            begin = time.monotonic()
            self.progress.say("compiling the training step ...")
            compiled = self.train_steps.lower(*arguments).compile()
            memory.check_step(compiled, self.options)
            self.compiled[len(batches)] = compiled
            self.progress.say(f"compiled in {time.monotonic() - begin:.0f} s")
            self.window.start_clock()
        state, metrics = self.compiled[len(batches)](*arguments)
        self.window.pending.append(metrics)
        return state

    def _events(self, state: TrainState, step: int, data_state: dict[str, Any]) -> None:
        """What is due after this step: a row of metrics, an evaluation, a picture, a checkpoint."""
        options = self.options
        due = {
            name: every > 0 and step % every == 0
            for name, every in (
                ("log", options.log_every),
                ("eval", options.eval_every if self.held_out else 0),
                ("sample", options.sample_every if self.shown else 0),
                ("checkpoint", options.checkpoint_every),
                ("snapshot", options.ema_snapshot_every),
            )
        }
        due["log"] |= step == options.steps
        self.progress.move(step)
        if not any(due.values()):
            return
        self.window.drain(step, self.watch)
        # Before more is written, and steps are taken that are not saved.
        self.checkpoints.check()
        self.snapshots.check()
        row = self._row(step) if due["log"] else {}
        if due["eval"]:
            row["eval_loss"] = self._held_out_loss(state)
        if row and self.metrics:
            self.metrics.write(step, **row)
        if due["log"]:
            left = (options.steps - step) * options.batch_size / row["examples_per_second"]
            rate, counts = row["examples_per_second"], self.watch.counts()
            self.progress.report(step, row["loss"], rate, left, counts)
        if due["snapshot"]:
            self.snapshots.save(state)
        if due["checkpoint"]:
            self._save(state, data_state)
        if due["sample"]:
            self._sample(state, step)
        if self.first and (due["sample"] or due["checkpoint"]):
            report.refresh(self.workdir)
        self.window.start_clock()

    def _diverged(self, said: str) -> DivergedError:
        self.checkpoints.wait()
        good = self.checkpoints.latest_step()
        where = (
            f"{self.checkpoints.folder / str(good)}" if good is not None else "there is none yet"
        )
        return DivergedError(
            f"{said}; nothing was saved since. Last good checkpoint: {where}. Try a smaller "
            "config.optim.learning_rate, or config.model.dtype=float32."
        )

    def _row(self, step: int) -> dict[str, float]:
        rate = float(self.schedule(step - 1 - self.watch.skipped))
        row = self.window.row(self.options.batch_size)
        return {**row, "learning_rate": rate, **self.watch.counts()}

    def _held_out_loss(self, state: TrainState) -> float:
        """Mean loss over all held-out examples with the moving average, always the same draws."""
        size = self.experiment.evaluation_batch_size
        sharding = batch_sharding(self.mesh)
        key = jax.random.fold_in(self.key, 2)
        sums = []
        batches = eval_batches(self.held_out, size, *reader(self.mesh))
        for index, batch in enumerate(batches):
            batch = to_devices(sharding, batch)
            mask = batch.pop(COUNTS)
            sums.append(
                self.eval_step(
                    state.ema[self.ema],
                    state.constants,
                    self.fixed,
                    batch,
                    mask,
                    jax.random.fold_in(key, index),
                )
            )
        total, number = np.sum(jax.device_get(sums), axis=0, dtype=np.float64)
        return float(total / number)

    def _sample(self, state: TrainState, step: int) -> None:
        """A picture with the moving average."""
        try:
            found, about = self.shown(
                state.ema[self.ema], state.constants, jax.random.fold_in(self.key, 3)
            )
        except UserError as error:  # of a young model, which training may yet mend
            self.progress.say(f"warning: no picture at step {step}: {error}")
            return
        if self.first:
            path = self.workdir / "samples" / f"{step}.png"
            with on_the_side(str(path), self.progress.say):
                about = {"step": step, "weights": f"ema {self.ema}", **about}
                drawn.picture(self.experiment.space, path, found, about, self.shown.columns)

    def _show_real(self) -> None:
        """A picture of as many training examples, spread over all, to hold those drawn against."""
        path, info = self.workdir / "real.png", self.train_set.info
        count = min(self.shown.count, len(self.train_set))
        rows = np.linspace(0, len(self.train_set) - 1, count).astype(int)
        about = {"data": info.name, "split": info.split, "shown": count, "of": info.size}
        with on_the_side(str(path), self.progress.say):
            examples = self.train_set.gather(rows)[self.experiment.field.name]
            space = self.experiment.space
            drawn.picture(space, path, np.asarray(space.viewed(examples)), about)

    def _save(self, state: TrainState, data_state: dict[str, Any]) -> None:
        if self.window.pending:
            self.window.drain(int(state.step), self.watch)
        data_state = {**data_state, **self.watch.state()}
        self.checkpoints.save(state, data_state, to_json(self.experiment.config))

    def _stop_everywhere(self, stop: StopRequest, step: int) -> bool:
        """Whether any process was asked to stop, or cannot print; all must agree, at one step."""
        asked = stop.received is not None or self.printing.error is not None
        if jax.process_count() == 1:
            return asked
        if step % self.options.log_every:
            return False
        return bool(np.any(multihost_utils.process_allgather(jnp.asarray(asked))))


def _place(batch: int) -> dict[str, Any]:
    """The state of the batches of which this is the next."""
    return {"next_index": batch}
