r"""An exact predictor of masked tokens, for tests and to debug a sampler without a network.

For a Markov chain of tokens, p(x) = a(x_1) prod_i T(x_i, x_{i+1}), and evidence e_i(v), 1 for each
token v that place i can hold,

    f_1 = a,    f_{i+1} = (f_i e_i) T          from the left,
    b_L = 1,    b_i = T (e_{i+1} b_{i+1})       from the right,

p(x_i = v | the known) is proportional to f_i(v) b_i(v) (Rabiner 1989, Section III, whose
observations are exact or missing here).
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping

import jax
import jax.numpy as jnp

from score_sde.processes import MASK
from score_sde.token_prediction import NEVER, substituted


@dataclasses.dataclass(frozen=True, eq=False)
class MarkovChain:
    """The exact TokenPredictor of a Markov chain, whatever the schedule of the masks.

    Attributes:
        initial: a, probabilities of the first token, [V].
        transitions: T, [V, V]; row v is the distribution of what follows v.
    """

    initial: jax.Array
    transitions: jax.Array

    def __call__(
        self, tokens: jax.Array, t: jax.Array, cond: Mapping[str, jax.Array] | None = None
    ) -> jax.Array:
        """See TokenPredictor; the time makes no difference, and there are no conditions."""
        # Compiled once: called alone, its two loops would be again at every call.
        logits: jax.Array = _given(jnp.asarray(self.initial), jnp.asarray(self.transitions), tokens)
        return logits

    def log_prob(self, x0: jax.Array) -> jax.Array:
        """log p(x_0), nats, [batch].

        Args:
            x0: tokens without masks, int [batch, length].
        """
        found: jax.Array = _log_prob(jnp.asarray(self.initial), jnp.asarray(self.transitions), x0)
        return found


@functools.partial(jax.jit, inline=True)
def _given(initial: jax.Array, transitions: jax.Array, tokens: jax.Array) -> jax.Array:
    """log p of each place's token given those that are known, [batch, length, V]."""
    known = jax.nn.one_hot(tokens, len(initial), dtype=initial.dtype)
    evidence = jnp.where((tokens == MASK)[..., None], 1, known).swapaxes(0, 1)

    def left(f: jax.Array, e: jax.Array) -> tuple[jax.Array, jax.Array]:
        return _normalised((f * e) @ transitions), f

    def right(b: jax.Array, e: jax.Array) -> tuple[jax.Array, jax.Array]:
        return _normalised((e * b) @ transitions.T), b

    first = jnp.broadcast_to(initial[None], evidence.shape[1:])
    forward = jax.lax.scan(left, first, evidence)[1]
    backward = jax.lax.scan(right, jnp.ones_like(first), evidence, reverse=True)[1]
    p = _normalised(forward * backward).swapaxes(0, 1)
    return substituted(jnp.where(p > 0, jnp.log(jnp.where(p > 0, p, 1)), NEVER), tokens)


@functools.partial(jax.jit, inline=True)
def _log_prob(initial: jax.Array, transitions: jax.Array, x0: jax.Array) -> jax.Array:
    """log p of sequences, [batch]."""
    steps = jnp.log(transitions)[x0[:, :-1], x0[:, 1:]]
    return jnp.log(initial)[x0[:, 0]] + steps.sum(axis=1)


def _normalised(weights: jax.Array) -> jax.Array:
    """Over their sum on the last axis; what is known can be impossible, and nothing is then."""
    total = weights.sum(axis=-1, keepdims=True)
    return weights / jnp.where(total > 0, total, 1)
