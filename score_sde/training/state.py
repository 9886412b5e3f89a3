"""What training carries from step to step, and its exponential moving averages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from score_sde.models.functional import Arrays, Functional


class TrainState(NamedTuple):
    """The state of training, a pytree.

    Attributes:
        step: optimiser steps done, int32 scalar.
        params: trainable parameters.
        constants: arrays of the model that are not trained.
        optimizer: state of the optimiser.
        ema: one moving average of the parameters for each decay, by the decay's text.
    """

    step: jax.Array
    params: Arrays
    constants: Arrays
    optimizer: optax.OptState
    ema: dict[str, Arrays]


class Weights(NamedTuple):
    """Arrays that take the place of those that are drawn before the first step.

    Attributes:
        params: trainable parameters by their path, each of the shape that the model gives it.
        constants: of the arrays that are not trained, likewise.
    """

    params: Arrays
    constants: Arrays


NOTHING = Weights({}, {})


def init_state(
    key: jax.Array,
    model: Functional,
    optimizer: optax.GradientTransformation,
    ema_decays: Sequence[float],
    start: Weights = NOTHING,
) -> TrainState:
    """The state before the first step; to be called under jax.jit.

    Args:
        key: JAX random key of the initial parameters.
        model: the network.
        optimizer: the optimiser.
        ema_decays: see TrainingOptions.
        start: what it starts from in place of what the key gives, parameters and averages alike.
    """
    drawn = model.init(key)
    params, constants = ({**a, **b} for a, b in zip(drawn, start, strict=True))
    ema = {str(decay): jax.tree.map(jnp.copy, params) for decay in ema_decays}
    return TrainState(jnp.zeros((), jnp.int32), params, constants, optimizer.init(params), ema)


def update_ema(ema: dict[str, Arrays], params: Arrays, step: jax.Array) -> dict[str, Arrays]:
    """One step of each moving average, average += (1 - d) (params - average).

    The decay rises to its value as d = min(decay, (1 + step) / (10 + step)), so that the initial
    parameters are soon forgotten.

    Args:
        ema: the averages, by the text of their decay.
        params: the parameters after this step.
        step: steps done, including this one.
    """
    ramp = (1.0 + step) / (10.0 + step)

    def update(decay: str, average: Arrays) -> Arrays:
        d = jnp.minimum(float(decay), ramp)
        return jax.tree.map(lambda a, p: a + (1 - d).astype(a.dtype) * (p - a), average, params)

    return {decay: update(decay, average) for decay, average in ema.items()}
