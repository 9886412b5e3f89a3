"""Where training stands: a state and the course that it is on, new, saved and found again."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import optax
from jax.sharding import Mesh, NamedSharding

from score_sde.data import Source, train_batches
from score_sde.runs.config import to_json
from score_sde.runs.experiment import Experiment
from score_sde.runs.streams import Stream
from score_sde.training import xla
from score_sde.training.checkpoints import Checkpoints
from score_sde.training.sharding import reader, state_sharding
from score_sde.training.snapshots import Snapshots
from score_sde.training.stability import Watch
from score_sde.training.state import TrainState, Weights, init_state

if TYPE_CHECKING:
    from grain import DatasetIterator

_NEXT = "next_index"  # of the batches: the one that the next step takes


@dataclasses.dataclass(frozen=True)
class Course:
    """What the steps of training take, from one time that it goes back to the next.

    Attributes:
        batches: of the steps that come, in their order.
        watch: looks at each step.
        over: how many batches were passed over: the steps up to s took those before s + over.
    """

    batches: DatasetIterator
    watch: Watch
    over: int = 0

    def from_batch(self, batch: int, step: int) -> Course:
        """The same, where the step after `step` takes this batch."""
        self.batches.set_state({_NEXT: batch})
        return dataclasses.replace(self, over=batch - step)

    def key(self, seed: int) -> jax.Array:
        """Of its steps: each time that training goes back it goes on with another."""
        if not self.watch.rewinds:
            return Stream.STEPS.key(seed)
        return jax.random.fold_in(Stream.STEPS_AGAIN.key(seed), self.watch.rewinds)

    def saved(self, step: int) -> dict[str, Any]:
        """What a checkpoint of a step says of it, JSON values."""
        return {_NEXT: step + self.over, **self.watch.state()}


class Positions:
    """The positions of one training, on the devices and in the run's folder.

    Args:
        experiment: what is trained.
        mesh: the devices.
        train_set: the training examples.
        workdir: the run's folder.
        optimizer: takes the steps.
        start: what a new state starts from; see init_from.

    Attributes:
        checkpoints: what training goes on from.
        snapshots: of the averages, beside them.
        shardings: of a state.
    """

    def __init__(
        self,
        experiment: Experiment,
        mesh: Mesh,
        train_set: Source,
        workdir: Path,
        optimizer: optax.GradientTransformation,
        start: Weights,
    ):
        options = experiment.training
        self._experiment, self._mesh, self._train_set = experiment, mesh, train_set
        self.checkpoints = Checkpoints(
            workdir / "checkpoints", options.keep_last, options.keep_every
        )
        self.snapshots = Snapshots(workdir)

        # One function object, so that JAX traces it once for the shapes and for the arrays.
        def drawn(key: jax.Array, start: Weights) -> TrainState:
            return init_state(key, experiment.network, optimizer, options.averages, start)

        self._init, self._given = drawn, (Stream.NETWORK.key(experiment.seed), start)
        self._shapes = jax.eval_shape(drawn, *self._given)
        self.shardings = state_sharding(mesh, self._shapes, experiment.network.splits)

    def new(self) -> tuple[TrainState, Course]:
        """Where training begins."""
        lowered = jax.jit(self._init, out_shardings=self.shardings).lower(*self._given)
        init = xla.compiled(lowered, xla.options(xla.INITIALISATION, self._mesh))
        return init(*self._given), self._course({})

    def resume(self) -> tuple[TrainState, Course] | None:
        """The newest position that was saved and is not damaged; None if there is none.

        Raises:
            CheckpointError: as of Checkpoints.resume.
        """

        def place(array: jax.ShapeDtypeStruct, sharding: NamedSharding) -> jax.ShapeDtypeStruct:
            return jax.ShapeDtypeStruct(array.shape, array.dtype, sharding=sharding)

        found = self.checkpoints.resume(jax.tree.map(place, self._shapes, self.shardings))
        if found is None:
            return None
        state, saved = found
        return state, self._course(saved).from_batch(saved[_NEXT], int(state.step))

    def save(self, state: TrainState, step: int, course: Course) -> None:
        """Start to save one; errors as of Checkpoints.save."""
        self.checkpoints.save(state, course.saved(step), to_json(self._experiment.config))

    def check(self) -> None:
        """Raise CheckpointError if what was being saved could not be; it waits for nothing."""
        self.checkpoints.check()
        self.snapshots.check()

    def close(self) -> None:
        """Wait for what is being saved, and release what is held."""
        self.checkpoints.close()
        self.snapshots.close()

    def _course(self, saved: dict[str, Any]) -> Course:
        """A new one that knows of the steps before what a checkpoint says."""
        options, (part, parts) = self._experiment.training, reader(self._mesh)
        batches = train_batches(
            self._train_set,
            batch_size=options.batch_size,
            seed=self._experiment.seed,
            process_index=part,
            process_count=parts,
        )
        return Course(batches, Watch(options.skip_nonfinite, options.rewind).resumed(saved))
