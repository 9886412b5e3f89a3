"""The training step: with the recipe's own loss, optimiser and averages, its state donated."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax

from experiments.throughput.cases import Subject
from experiments.throughput.compiling import Compiled, compiled
from score_sde.training import xla
from score_sde.training.optimizer import optimizer
from score_sde.training.sharding import (
    batch_sharding,
    make_mesh,
    replicated,
    state_sharding,
    to_devices,
)
from score_sde.training.state import TrainState, init_state
from score_sde.training.step import make_train_step


class Training:
    """A subject's training step.

    Args:
        subject: of it.
    """

    def __init__(self, subject: Subject):
        experiment = subject.experiment
        self.options, self.subject = experiment.training, subject
        self.mesh = make_mesh(self.options.fsdp)
        self.key = jax.random.key(experiment.seed)
        optimize = optimizer(experiment.optim, self.options.steps)

        def init(key: jax.Array) -> TrainState:
            return init_state(key, experiment.network, optimize, self.options.averages)

        self.init, self.shapes = init, jax.eval_shape(init, self.key)
        self.shardings = state_sharding(self.mesh, self.shapes)
        self.step = jax.jit(
            make_train_step(
                experiment.loss, optimize, self.options.accumulate, experiment.network.project
            ),
            donate_argnums=0,
            out_shardings=(self.shardings, replicated(self.mesh)),
        )

    @property
    def examples(self) -> int:
        """In a call."""
        return self.options.steps_per_call * self.options.batch_size

    def compiled(self) -> Compiled:
        """The step. No array of the state is made."""
        state = jax.tree.map(
            lambda array, sharding: jax.ShapeDtypeStruct(
                array.shape, array.dtype, sharding=sharding
            ),
            self.shapes,
            self.shardings,
        )
        said = xla.options(xla.STEP, self.mesh)
        return compiled(self.step, state, *self._others(), said=said)

    def call(self, step: jax.stages.Compiled) -> Callable[[], None]:
        """Takes as many steps as a call has, on from those before, and waits for them."""
        lowered = jax.jit(self.init, out_shardings=self.shardings).lower(self.key)
        begin = xla.compiled(lowered, xla.options(xla.INITIALISATION, self.mesh))
        state, others = begin(self.key), self._others()

        def call() -> None:
            nonlocal state
            state, metrics = step(state, *others)
            jax.block_until_ready(metrics)

        return call

    def _others(self) -> tuple[Any, ...]:
        batches = self.subject.examples(self.options.steps_per_call)
        everywhere = replicated(self.mesh)
        return (
            to_devices(batch_sharding(self.mesh, leading=1), batches),
            to_devices(everywhere, jax.device_get(self.subject.fixed)),
            jax.device_put(jax.random.fold_in(self.key, 1), everywhere),
        )
