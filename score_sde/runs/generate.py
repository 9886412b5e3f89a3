"""Drawing examples with a model, in batches, over a mesh.

Example i is drawn from fold_in(key, i): its start, its label and all of its noise. So it is the
same example whatever the batch size and the number of devices, up to rounding, unless the sampler
itself couples a batch (its `coupling` says how).
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh

from score_sde import keys
from score_sde.data import Source
from score_sde.data.base import Examples
from score_sde.errors import UserError, solver_error_as
from score_sde.guidance.task import Task
from score_sde.models.functional import Arrays
from score_sde.prediction import Denoiser
from score_sde.processes import SDE
from score_sde.runs.experiment import Experiment
from score_sde.runs.guide import UNGUIDED, Guide
from score_sde.runs.pace import Pace
from score_sde.samplers.sample import Sampler
from score_sde.samplers.underway import listening
from score_sde.spaces import Space
from score_sde.subspace import Support
from score_sde.training import memory
from score_sde.training.sharding import batch_sharding, replicated, to_devices

PLAIN = Task()


class _Given(NamedTuple):
    """What a batch is drawn from: the key of each example's noise, conditions, known states."""

    key: jax.Array
    cond: dict[str, jax.Array] | None
    known: jax.Array | None


def borrowed(
    experiment: Experiment, examples: Callable[[], Source], number: int, seed: int = 0
) -> Examples:
    """Conditions of examples drawn at random, where a model is told more than classes.

    All conditions of a sample are those of one example: they may depend on each other.

    Args:
        experiment: the model.
        examples: opens what to take them from; not called if nothing is taken.
        number: how many.
        seed: of the choice.

    Returns:
        An array for each condition, [number, ...]; none if it is told classes only, which are drawn
        as they are sampled, each as likely.

    Raises:
        DataError: the examples lack a condition.
    """
    found = lent(experiment, examples, number, seed)
    return {name: found[name] for name in experiment.conditions} if found else {}


def lent(
    experiment: Experiment, examples: Callable[[], Source], number: int, seed: int = 0
) -> Examples:
    """The examples that `borrowed` takes conditions of, with all of their fields; arguments as its.

    Raises:
        DataError: the examples lack a condition.
    """
    if all(experiment.data[name].kind == "label" for name in experiment.conditions):
        return {}
    source = examples()
    for name in experiment.conditions:
        source.info[name]  # which says what is missing
    return at_random(source, number, seed)


def at_random(source: Source, number: int, seed: int) -> Examples:
    """So many examples of a source, by a seed; one may be there twice.

    Raises:
        UserError: there is no memory for them.
    """
    each = sum(math.prod(f.shape) * np.dtype(f.dtype).itemsize for f in source.info.fields)
    what = f"what {number:,} samples are told, examples of {source.info.name},"
    memory.check(what, number * each, memory.of_host(), "draw fewer")
    return source.gather(np.random.default_rng(seed).integers(len(source), size=number))


def sample_key(seed: int, sampling_seed: int) -> jax.Array:
    """The key that a run's samples are drawn from.

    Args:
        seed: of the run.
        sampling_seed: of this set of samples.
    """
    key = jax.random.fold_in(jax.random.key(seed), 4)  # 0 to 3 are training's
    return jax.random.fold_in(key, sampling_seed)


@dataclasses.dataclass(frozen=True)
class _Drawing:
    """How a batch is drawn; equal to others of equal parts.

    Attributes:
        make: makes of a network's arrays the model that draws.
        sde: its process.
        sampler: of the run; a task may have one of its own.
        shape: of the states of a batch, [batch, *data].
        classes: name and number of each class that is drawn where it is not given.
        mesh: the devices that share the batch.
    """

    make: Callable[[Arrays, Arrays], Denoiser]
    sde: SDE
    sampler: Sampler
    shape: tuple[int, ...]
    classes: tuple[tuple[str, int], ...]
    mesh: Mesh

    def placed(self, state: Any) -> Any:
        """The state where every piece finds it and leaves it, or each would be compiled.

        A number of Python's that is counted on would be of a weak type at first, as JAX calls it.
        """
        each, everywhere = batch_sharding(self.mesh), replicated(self.mesh)
        return jax.tree.map(
            lambda leaf: jax.lax.with_sharding_constraint(
                jnp.asarray(leaf, leaf.dtype), each if leaf.ndim else everywhere
            ),
            state,
        )

    def begin(
        self,
        space: Space,
        key: jax.Array,
        start: jax.Array,
        task: Task,
        cond: dict[str, jax.Array],
        known: jax.Array | None,
    ) -> tuple[Any, _Given, int]:
        """The state before step 0, what the batch is drawn from, and the number of pieces."""
        sharding, sde = batch_sharding(self.mesh), self.sde
        numbers = start + jnp.arange(self.shape[0])
        each = keys.of_examples(key, jax.lax.with_sharding_constraint(numbers, sharding))
        key_prior, key_labels, key_noise = (keys.fold_in(each, i) for i in range(3))
        cond, known = jax.lax.with_sharding_constraint((cond, known), sharding)
        if known is not None:
            known = space.encode(known)
        for number, (name, count) in enumerate(self.classes):
            if name not in cond:
                one = key_labels if not number else keys.fold_in(key_labels, number)
                cond[name] = jax.vmap(lambda k, n=count: jax.random.randint(k, (), 0, n))(one)
        sampler = task.sampler(self.sampler, known)
        prior = sampler.prior(key_prior, sde, self.shape, jnp.float32)
        prior = jax.lax.with_sharding_constraint(prior, sharding)
        x_init = task.start(sde, prior, sampler.begins(sde), known)
        where = Support(space.subspace, cond)
        state = sampler.begin(key_noise, sde, x_init=x_init, support=where)
        given = _Given(key_noise, cond or None, known)
        return self.placed(state), given, sampler.pieces(sde)

    def advance(
        self,
        state: Any,
        params: Arrays,
        constants: Arrays,
        guide: Guide,
        task: Task,
        given: _Given,
        first: jax.Array,
        last: jax.Array,
    ) -> Any:
        """The state before step `last`, from that before step `first`."""
        sampler = task.sampler(self.sampler, given.known)
        model = guide.denoiser(self.make(params, constants))
        denoise = task.denoiser(model, self.sde, given.known)
        moved = sampler.advance(given.key, state, denoise, self.sde, first, last, given.cond)
        return self.placed(moved)

    def finish(
        self, state: Any, space: Space, task: Task, given: _Given
    ) -> tuple[jax.Array, int | jax.Array, jax.Array]:
        """Examples, the function evaluations, and which examples are of finite numbers."""
        out = task.sampler(self.sampler, given.known).finish(state)
        examples = space.decode(task.finish(out.x, given.known))
        # A state can be of finite numbers, and too large for a signal or an image to be.
        return examples, out.nfe, _finite(out.x) & _finite(examples)


def _finite(x: jax.Array) -> jax.Array:
    """Which of a batch are of finite numbers, bool [batch]."""
    return jnp.isfinite(x).all(axis=tuple(range(1, x.ndim)))


@functools.lru_cache(maxsize=32)
def _compiled(drawing: _Drawing) -> tuple[Callable[..., Any], ...]:
    """To begin, to advance and to finish, compiled once for all runs that are drawn alike."""
    everywhere = replicated(drawing.mesh)
    shardings = (batch_sharding(drawing.mesh), everywhere, everywhere)
    return (
        jax.jit(drawing.begin),
        jax.jit(drawing.advance, donate_argnums=0),
        jax.jit(drawing.finish, out_shardings=shardings),
    )


class Generator:
    """Draws batches of examples; compiled once, also for others that draw alike.

    Args:
        experiment: what to sample.
        mesh: the devices that share a batch.
        batch_size: examples a batch; rounded up to a multiple of the number of devices.
        guide: guides the model; see runs.guide.
    """

    def __init__(
        self, experiment: Experiment, mesh: Mesh, batch_size: int, guide: Guide = UNGUIDED
    ):
        self.batch_size = -(-batch_size // mesh.size) * mesh.size
        self._everywhere = replicated(mesh)
        self._space = to_devices(self._everywhere, jax.device_get(experiment.space))
        self._guide = to_devices(self._everywhere, jax.device_get(guide))
        # A condition that is not given is drawn if it is a class, each as likely.
        classes = tuple(
            (name, experiment.data[name].values)
            for name in experiment.conditions
            if experiment.data[name].kind == "label"
        )
        shape = (self.batch_size, *experiment.space.shape)
        drawing = _Drawing(
            experiment.make, experiment.sde, experiment.sampler, shape, classes, mesh
        )
        self._begin, self._advance, self._finish = _compiled(drawing)
        self._paces: dict[int, Pace] = {}  # by the number of steps, which tasks may differ in

    def batches(
        self,
        params: Arrays,
        constants: Arrays,
        key: jax.Array,
        number: int,
        task: Task = PLAIN,
        cond: dict[str, np.ndarray] | None = None,
        known: np.ndarray | None = None,
        first: int = 0,
        on_progress: Callable[[float], None] = lambda done: None,
    ) -> Iterator[tuple[np.ndarray, int]]:
        """Draw examples, a batch at a time.

        Args:
            params: trainable parameters, or a moving average of them.
            constants: the model's other arrays.
            key: JAX random key; each example folds in its number.
            number: how many.
            task: what is asked of the model.
            cond: conditions, the same on every process, [number, ...] each.
            known: the examples that the task is about, [number, *shape of the field], or None.
            first: the number of the first to draw: those before it are left out.
            on_progress: called with the number of examples done while a batch is drawn; a part of a
                batch, of its steps or of the time that is solved for, counts as that part of it.

        Yields:
            Examples, [batch, *shape of the field], on the host, and the function evaluations of
            that batch. The last batch has only the examples that are left.

        Raises:
            UserError: the adaptive solver gave up, or an example is not of finite numbers.
        """
        task = to_devices(self._everywhere, jax.device_get(task))
        for start in range(first, number, self.batch_size):
            # The last batch is filled up: with more examples, for which the last row is repeated.
            rows = np.minimum(np.arange(start, start + self.batch_size), number - 1)
            given = jax.tree.map(lambda array, rows=rows: array[rows], (cond or {}, known))
            given = to_devices(self._everywhere, given)
            size = min(self.batch_size, number - start)

            def report(part: float, start: int = start, size: int = size) -> None:
                on_progress(start + part * size)

            with solver_error_as(UserError), listening(report):
                state, asked, pieces = self._begin(self._space, key, start, task, *given)
                pace = self._paces.setdefault(int(pieces), Pace(int(pieces)))
                arguments = params, constants, self._guide, task, asked
                state = self._advanced(pace, state, arguments, report)
                batch, nfe, finite = self._finish(state, self._space, task, asked)
                batch = multihost_utils.process_allgather(batch, tiled=True)
            bad = size - int(np.sum(np.asarray(finite)[:size]))
            if bad:  # as integers they would look like any others
                raise UserError(
                    f"{bad} of {size} samples are not of finite numbers: the model diverged, or "
                    "the sampler did; give it more steps, or a smaller --scale or snr"
                )
            yield batch[:size], int(nfe)

    def _advanced(
        self, pace: Pace, state: Any, arguments: tuple[Any, ...], report: Callable[[float], None]
    ) -> Any:
        """The state after the last step; `report` is told what part of the steps is done."""
        done = 0
        while done < pace.pieces:
            last = pace.after(done)
            with pace.measured(last - done):
                state = jax.block_until_ready(self._advance(state, *arguments, done, last))
            done = last
            if done < pace.pieces:
                report(done / pace.pieces)
        return state

    def __call__(
        self,
        params: Arrays,
        constants: Arrays,
        key: jax.Array,
        number: int,
        on_progress: Callable[[float], None] = lambda done: None,
        task: Task = PLAIN,
        cond: dict[str, np.ndarray] | None = None,
        known: np.ndarray | None = None,
    ) -> tuple[np.ndarray, int]:
        """Draw all examples, as `batches` does.

        Args:
            params: as for `batches`, with key, number, task, cond and known.
            constants: as for `batches`.
            key: as for `batches`.
            number: as for `batches`.
            on_progress: as for `batches`, and called after each batch.
            task: as for `batches`.
            cond: as for `batches`.
            known: as for `batches`.

        Returns:
            Examples, [number, *shape of the field], on the host, and the function evaluations of
            the last batch.
        """
        drawn, evaluations, done = [], [0], 0
        rest = {"task": task, "cond": cond, "known": known, "on_progress": on_progress}
        for batch, nfe in self.batches(params, constants, key, number, **rest):
            drawn.append(batch)
            evaluations.append(nfe)
            done += len(batch)
            on_progress(done)
        return np.concatenate(drawn), evaluations[-1]
