"""What training carries from step to step, and its exponential moving averages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from score_sde.models.functional import Arrays, Functional
from score_sde.training import power_ema
from score_sde.training.options import POWER


class TrainState(NamedTuple):
    """The state of training, a pytree.

    Attributes:
        step: optimiser steps done, int32 scalar.
        params: trainable parameters.
        constants: arrays of the model that are not trained.
        optimizer: state of the optimiser.
        ema: moving averages of the parameters by name; see update_ema.
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
    averages: Sequence[str],
    start: Weights = NOTHING,
) -> TrainState:
    """The state before the first step; to be called under jax.jit.

    Args:
        key: JAX random key of the initial parameters.
        model: the network.
        optimizer: the optimiser.
        averages: names of the moving averages; see update_ema.
        start: what it starts from in place of what the key gives, parameters and averages alike.
    """
    drawn = model.init(key)
    params, constants = ({**a, **b} for a, b in zip(drawn, start, strict=True))
    ema = {name: jax.tree.map(jnp.copy, params) for name in averages}
    return TrainState(jnp.zeros((), jnp.int32), params, constants, optimizer.init(params), ema)


def update_ema(ema: dict[str, Arrays], params: Arrays, step: jax.Array) -> dict[str, Arrays]:
    """One step of each moving average, average += w (params - average).

    The name of an average is the text of its decay, or "power_" and its sigma_rel. A decay rises to
    its value as d = min(decay, (1 + step) / (10 + step)), w = 1 - d, so that the initial parameters
    are soon forgotten. A power-function average has forgotten them after the first step; see
    training.power_ema.

    Args:
        ema: the averages, by name.
        params: the parameters after this step.
        step: steps done, including this one.
    """
    ramp = (1.0 + step) / (10.0 + step)

    def share(name: str) -> jax.Array:
        if name.startswith(POWER):
            gamma = power_ema.exponent(float(name.removeprefix(POWER)))
            return power_ema.weight(gamma, step)
        return 1 - jnp.minimum(float(name), ramp)

    def update(name: str, average: Arrays) -> Arrays:
        w = share(name)
        return jax.tree.map(lambda a, p: a + w.astype(a.dtype) * (p - a), average, params)

    return {name: update(name, average) for name, average in ema.items()}
