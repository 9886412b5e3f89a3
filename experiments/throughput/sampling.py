"""Sampling and likelihood, and one evaluation of the network alone, of which they make many."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from experiments.throughput.cases import Subject
from experiments.throughput.compiling import Compiled, compiled
from score_sde import log_likelihood
from score_sde.samplers.ode import probability_flow
from score_sde.training.sharding import (
    batch_sharding,
    make_mesh,
    split_batch,
    state_sharding,
)

TOLERANCE = 1e-3  # of a likelihood, whose evaluations are all alike: few are enough
MIDDLE = 0.5  # a time; an evaluation costs the same at each

Function = Callable[[Any, jax.Array, Any], tuple[jax.Array, jax.Array]]


class Pair(NamedTuple):
    """What is measured and what it makes many of; (weights, x, cond) -> (array, evaluations)."""

    whole: Function
    single: Function


def sampling(subject: Subject) -> Pair:
    """The recipe's sampler, and its network."""
    experiment = subject.experiment
    sampler, sde, make = experiment.sampler, experiment.sde, experiment.make

    def whole(weights, x, cond):
        out = sampler(jax.random.key(1), make(*weights), sde, x_init=x, cond=cond)
        return out.x, out.nfe

    def single(weights, x, cond):
        found = make(*weights)(x, jnp.full(len(x), MIDDLE, x.dtype), cond)
        return found.x0 + found.eps, jnp.array(1)

    return Pair(whole, single)


def likelihood(subject: Subject) -> Pair:
    """log p by the probability flow, and its velocity with a Jacobian-vector product."""
    experiment = subject.experiment
    sde, make = experiment.sde, experiment.make

    def whole(weights, x, cond):
        key, tolerances = jax.random.key(1), {"rtol": TOLERANCE, "atol": TOLERANCE}
        out = log_likelihood(key, make(*weights), sde, x, cond=cond, **tolerances)
        return out.logp, out.nfe

    def single(weights, x, cond):
        velocity = probability_flow(make(*weights), sde, cond)
        probe = jax.random.rademacher(jax.random.key(1), x.shape, x.dtype)
        v, product = jax.jvp(lambda x: velocity(jnp.asarray(MIDDLE, x.dtype), x), (x,), (probe,))
        return v, jnp.sum(probe * product, axis=tuple(range(1, x.ndim)))

    return Pair(whole, single)


class Drawing:
    """The weights of a subject and a batch of states, which functions are compiled for and given.

    The weights are random: others cost the same.

    Args:
        subject: the subject.
    """

    def __init__(self, subject: Subject):
        experiment = subject.experiment
        self.experiment, self.mesh = experiment, make_mesh(experiment.training.fsdp)
        self.cond: Mapping[str, Any] | None = subject.told() or None
        self.shape = (experiment.training.batch_size, *experiment.space.shape)
        self.shardings = state_sharding(self.mesh, experiment.network.shapes)

    def compiled(self, function: Function) -> Compiled:
        """No weight is made."""
        split = batch_sharding(self.mesh)

        def of(array: Any, sharding: Any) -> jax.ShapeDtypeStruct:
            return jax.ShapeDtypeStruct(array.shape, array.dtype, sharding=sharding)

        weights = jax.tree.map(of, self.experiment.network.shapes, self.shardings)
        x = jax.ShapeDtypeStruct(self.shape, jnp.float32, sharding=split)
        cond = jax.tree.map(lambda array: of(array, split), self.cond)
        return compiled(jax.jit(function), weights, x, cond)

    def arguments(self) -> tuple[Any, jax.Array, Any]:
        """Weights, noise, and what the network is told."""
        init = jax.jit(self.experiment.network.init, out_shardings=self.shardings)
        x = self.experiment.sde.prior_sample(jax.random.key(0), self.shape, jnp.float32)
        return init(jax.random.key(0)), split_batch(self.mesh, x), split_batch(self.mesh, self.cond)
