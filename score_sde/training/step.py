"""The compiled training step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from score_sde.models.functional import Arrays
from score_sde.training.clipping import global_norm
from score_sde.training.state import TrainState, update_ema

# (key, parameters, constants, space, batch, step) -> the loss of each example, [batch]; step is how
# many were taken, or None for held-out examples.
LossFunction = Callable[[jax.Array, Arrays, Arrays, Any, Any, jax.Array | None], jax.Array]
Metrics = dict[str, jax.Array]


def make_train_step(
    loss: LossFunction,
    optimizer: optax.GradientTransformation,
    accumulate: int = 1,
    project: Callable[[Arrays], Arrays] = lambda params: params,
    skip: bool = False,
) -> Callable[[TrainState, Any, Any, jax.Array], tuple[TrainState, Metrics]]:
    """Several optimiser steps as one function, to be compiled with a donated state.

    Randomness is a function of (key, step): the state carries no key.

    Args:
        loss: the loss of each example.
        optimizer: the optimiser.
        accumulate: parts of a batch whose gradients are averaged before the update.
        project: of the parameters, what a step begins with; see models.functional.
        skip: whether a step of which the loss or the norm of the gradient is not finite changes
            nothing of the state but the number of steps.

    Returns:
        A function of the state, a batch with a leading axis of steps ([steps, batch, ...]), the
        space and the run's key. It returns the new state and metrics, each [steps].
    """

    def mean_loss(
        params: Arrays,
        constants: Arrays,
        space: Any,
        batch: Any,
        key: jax.Array,
        step: jax.Array,
    ) -> jax.Array:
        return jnp.mean(loss(key, params, constants, space, batch, step))

    def gradient(
        state: TrainState, batch: Any, space: Any, key: jax.Array
    ) -> tuple[jax.Array, Arrays]:
        value_and_grad = jax.value_and_grad(mean_loss)
        if accumulate == 1:
            return value_and_grad(state.params, state.constants, space, batch, key, state.step)

        def add(total, part):
            index, batch = part
            of_part = jax.random.fold_in(key, index)
            value = value_and_grad(state.params, state.constants, space, batch, of_part, state.step)
            return jax.tree.map(jnp.add, total, value), None

        # Part i takes every accumulate-th example, so that examples stay on their devices.
        parts = jax.tree.map(
            lambda a: a.reshape(-1, accumulate, *a.shape[1:]).swapaxes(0, 1), batch
        )
        zero = (jnp.zeros(()), jax.tree.map(jnp.zeros_like, state.params))
        total, _ = jax.lax.scan(add, zero, (jnp.arange(accumulate), parts))
        return jax.tree.map(lambda a: a / accumulate, total)

    def one_step(
        state: TrainState, batch: Any, space: Any, key: jax.Array
    ) -> tuple[TrainState, Metrics]:
        before, state = state, state._replace(params=project(state.params))
        value, grad = gradient(state, batch, space, jax.random.fold_in(key, state.step))
        updates, optimizer_state = optimizer.update(grad, state.optimizer, state.params)
        params = optax.apply_updates(state.params, updates)
        step = state.step + 1
        ema = update_ema(state.ema, params, step)
        metrics = {"loss": value, "grad_norm": global_norm(grad)}
        after = TrainState(step, params, state.constants, optimizer_state, ema)
        return _if_finite(metrics, after, before) if skip else after, metrics

    def train_steps(
        state: TrainState, batches: Any, space: Any, key: jax.Array
    ) -> tuple[TrainState, Metrics]:
        if jax.tree.leaves(batches)[0].shape[0] == 1:  # a loop of one would only hide the step
            state, metrics = one_step(state, jax.tree.map(lambda a: a[0], batches), space, key)
            return state, jax.tree.map(lambda a: a[None], metrics)
        return jax.lax.scan(lambda state, batch: one_step(state, batch, space, key), state, batches)

    return train_steps


def _if_finite(metrics: Metrics, after: TrainState, before: TrainState) -> TrainState:
    """The state after a step, or what it was before, where a metric of the step is not finite.

    A selection and no branch: it is fused with the update, and a GPU need not ask its host.
    """
    finite = jnp.all(jnp.isfinite(jnp.stack(list(metrics.values()))))
    kept = jax.tree.map(lambda new, old: jnp.where(finite, new, old), after, before)
    return kept._replace(step=after.step, constants=after.constants)


def make_eval_step(loss: LossFunction) -> Callable[..., tuple[jax.Array, jax.Array]]:
    """The held-out loss of a batch.

    Returns:
        A function of (parameters, constants, space, batch, mask [batch], key) that returns the sum
        of the losses where the mask is true, and their number.
    """

    def eval_step(params, constants, space, batch, mask, key):
        losses = loss(key, params, constants, space, batch, None)
        return jnp.sum(jnp.where(mask, losses, 0)), jnp.sum(mask)

    return eval_step
