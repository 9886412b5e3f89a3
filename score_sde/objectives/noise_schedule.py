r"""A learned noise schedule: a monotone function of time whose ends are given.

Kingma et al. 2021 (VDM, arXiv 2107.00630) learn gamma(t) = -log SNR as a network of positive
weights. Here it is, with H sigmoids,

    f(t) = e^a t + sum_j e^(v_j) sigmoid(e^(w_j) t + b_j),
    s(t) = (f(t) - f(0)) / (f(1) - f(0)),                                                     (1)

the share of the way from one end to the other that is done at t in [0, 1]. s rises from 0 to 1
whatever its parameters are. Where it is flat, many t meet the same noise.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

_STEEPNESS, _WEIGHT = 10.0, 0.1  # at first: of each sigmoid, and of all of them beside the line


class Share(NamedTuple):
    """How far a schedule is at t, and how fast it goes.

    Attributes:
        done: s(t), from 0 to 1; shape of t.
        rate: s'(t), above 0; shape of t.
    """

    done: jax.Array
    rate: jax.Array


class NoiseSchedule(nnx.Module):
    """s of equation (1), which is nearly s(t) = t at first.

    Args:
        features: H.
        rngs: random streams of the initialisation, of which none is used: the sigmoids have their
            centres evenly over [0, 1].
    """

    def __init__(self, features: int = 32, *, rngs: nnx.Rngs):
        centres = (jnp.arange(features) + 0.5) / features
        self.line = nnx.Param(jnp.zeros(()))
        self.weight = nnx.Param(jnp.full(features, math.log(_WEIGHT / features)))
        self.steepness = nnx.Param(jnp.full(features, math.log(_STEEPNESS)))
        self.offset = nnx.Param(-_STEEPNESS * centres)

    def __call__(self, t: jax.Array) -> Share:
        """At times in [0, 1], [batch]."""
        ends = self._f(jnp.array([0.0, 1.0], t.dtype))
        f, slope = jax.jvp(self._f, (t,), (jnp.ones_like(t),))
        return Share((f - ends[0]) / (ends[1] - ends[0]), slope / (ends[1] - ends[0]))

    def _f(self, t: jax.Array) -> jax.Array:
        line, weight, steepness, offset = (
            p[...].astype(t.dtype) for p in (self.line, self.weight, self.steepness, self.offset)
        )
        sigmoids = jax.nn.sigmoid(t[:, None] * jnp.exp(steepness)[None] + offset[None])
        return jnp.exp(line) * t + sigmoids @ jnp.exp(weight)
