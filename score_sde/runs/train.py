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
from score_sde.data import COUNTS, Source, eval_batches, train_batches
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
    replicated,
    state_sharding,
    to_devices,
)
from score_sde.training.signals import StopRequest
from score_sde.training.snapshots import Snapshots
from score_sde.training.state import NOTHING, TrainState, Weights, init_state
from score_sde.training.step import make_eval_step, make_train_step

if TYPE_CHECKING:
    from grain import DatasetIterator


class NotFiniteError(RuntimeError):
    """The loss or the gradient became infinite or not a number."""


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
        NotFiniteError: the loss or the gradient is no longer finite.
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
        self.shardings = state_sharding(mesh, self.shapes)
        self.train_steps = jax.jit(
            make_train_step(
                experiment.loss,
                self.optimizer,
                self.options.accumulate,
                experiment.network.project,
            ),
            donate_argnums=0,
            # Without this XLA may choose another sharding for the state than it came with.
            out_shardings=(self.shardings, replicated(mesh)),
        )
        self.compiled = {}
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
        start = step = int(state.step)
        self.metrics = Metrics(self.workdir, step) if self.first else None
        self.progress = Progress(step, self.options.steps, quiet=not self.first)
        if start:
            self.progress.say(f"going on from step {start}")
        if self.shown and self.first:
            self._show_real()
        self._start_window()
        try:
            while step < self.options.steps and not self._stop_everywhere(stop, step):
                count = self._steps_of_call(step)
                state = self._advance(state, [next(batches) for _ in range(count)])
                # Until the first step is done Ctrl-C loses nothing, and acts at once.
                stop.also_on_interrupt()
                step += count
                self._events(state, step, batches.get_state())
            self._save(state, batches.get_state())
            if self.first:
                report.refresh(self.workdir)
            complete = step >= self.options.steps
            # Where another process was asked to stop, this one did not see the signal.
            return Outcome(start, step, None if complete else stop.received or signal.SIGTERM)
        finally:
            batches.close()
            self.progress.close()
            self.checkpoints.close()
            self.snapshots.close()
            if self.metrics:
                self.metrics.close()

    def _steps_of_call(self, step: int) -> int:
        """Up to the next multiple of steps_per_call, where all that is due falls."""
        fused = self.options.steps_per_call
        return min(fused - step % fused, self.options.steps - step)

    def _drawn(self, key: jax.Array, start: Weights) -> TrainState:
        network, averages = self.experiment.network, self.options.averages
        return init_state(key, network, self.optimizer, averages, start)

    def _batches(self) -> DatasetIterator:
        return train_batches(
            self.train_set,
            batch_size=self.options.batch_size,
            seed=self.experiment.seed,
            process_index=jax.process_index(),
            process_count=jax.process_count(),
        )

    def _init_state(self) -> TrainState:
        drawn = jax.random.fold_in(self.key, 0), self.start
        lowered = jax.jit(self._init, out_shardings=self.shardings).lower(*drawn)
        # It runs once: on a CPU, optimising it would take longer than it could save.
        on_cpu = jax.default_backend() == "cpu"
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
        batches.set_state(data_state)
        return state, batches

    def _advance(self, state: TrainState, batches: list[Any]) -> TrainState:
        """Dispatch one call; its metrics are fetched later, so that the devices never wait.

        One call waits for them, no more: who stops a run waits for all that was dispatched.
        """
        jax.block_until_ready(self.pending[-2:-1])
        stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *batches)
        arguments = (
            state,
            to_devices(batch_sharding(self.mesh, leading=1), stacked),
            self.fixed,
            jax.random.fold_in(self.key, 1),
        )
        if len(batches) not in self.compiled:
            begin = time.monotonic()
            self.progress.say("compiling the training step ...")
            compiled = self.train_steps.lower(*arguments).compile()
            memory.check_step(compiled, self.options)
            self.compiled[len(batches)] = compiled
            self.progress.say(f"compiled in {time.monotonic() - begin:.0f} s")
            self._start_clock()
        state, metrics = self.compiled[len(batches)](*arguments)
        self.pending.append(metrics)
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
        self._drain(step)
        # Before more is written, and steps are taken that are not saved.
        self.checkpoints.check()
        self.snapshots.check()
        row = self._window_row(step) if due["log"] else {}
        if due["eval"]:
            row["eval_loss"] = self._held_out_loss(state)
        if row and self.metrics:
            self.metrics.write(step, **row)
        if due["log"]:
            left = (options.steps - step) * options.batch_size / row["examples_per_second"]
            self.progress.report(step, row["loss"], row["examples_per_second"], left)
        if due["snapshot"]:
            self.snapshots.save(state)
        if due["checkpoint"]:
            self._save(state, data_state)
        if due["sample"]:
            self._sample(state, step)
        if self.first and (due["sample"] or due["checkpoint"]):
            report.refresh(self.workdir)
        self._start_clock()

    def _start_window(self) -> None:
        self.pending, self.losses, self.norms, self.seconds = [], [], [], 0.0
        self._start_clock()

    def _start_clock(self) -> None:
        self.clock = time.monotonic()

    def _drain(self, step: int) -> None:
        """Fetch the metrics of all calls so far; stop if one is not finite."""
        fetched = jax.device_get(self.pending)
        self.pending = []
        self.seconds += time.monotonic() - self.clock
        if not fetched:
            return
        loss = np.concatenate([m["loss"] for m in fetched])
        norm = np.concatenate([m["grad_norm"] for m in fetched])
        bad = ~(np.isfinite(loss) & np.isfinite(norm))
        if bad.any():
            self._stop_not_finite(step - len(loss) + 1 + int(bad.argmax()))
        self.losses.append(loss)
        self.norms.append(norm)

    def _stop_not_finite(self, step: int) -> None:
        self.checkpoints.wait()
        good = self.checkpoints.latest_step()
        where = (
            f"{self.checkpoints.folder / str(good)}" if good is not None else "there is none yet"
        )
        raise NotFiniteError(
            f"the loss or its gradient is not finite at step {step}; nothing was saved since. "
            f"Last good checkpoint: {where}. Try a smaller config.optim.learning_rate, "
            "or config.model.dtype=float32."
        )

    def _window_row(self, step: int) -> dict[str, float]:
        losses, norms = np.concatenate(self.losses), np.concatenate(self.norms)
        row = {
            "loss": float(losses.mean(dtype=np.float64)),
            "grad_norm": float(norms.mean(dtype=np.float64)),
            "learning_rate": float(self.schedule(step - 1)),
            "examples_per_second": len(losses) * self.options.batch_size / max(self.seconds, 1e-9),
        }
        self._start_window()
        return row

    def _held_out_loss(self, state: TrainState) -> float:
        """Mean loss over all held-out examples with the moving average, always the same draws."""
        size = self.experiment.evaluation_batch_size
        sharding = batch_sharding(self.mesh)
        key = jax.random.fold_in(self.key, 2)
        sums = []
        batches = eval_batches(self.held_out, size, jax.process_index(), jax.process_count())
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
        params = jax.device_put(state.ema[self.ema], replicated(self.mesh))
        try:
            found, about = self.shown(params, state.constants, jax.random.fold_in(self.key, 3))
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
        if self.pending:
            self._drain(int(state.step))
        self.checkpoints.save(state, data_state, to_json(self.experiment.config))

    def _stop_everywhere(self, stop: StopRequest, step: int) -> bool:
        """Whether any process was asked to stop, or cannot print; all must agree, at one step."""
        asked = stop.received is not None or self.printing.error is not None
        if jax.process_count() == 1:
            return asked
        if step % self.options.log_every:
            return False
        return bool(np.any(multihost_utils.process_allgather(jnp.asarray(asked))))
