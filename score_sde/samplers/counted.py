"""Samplers that turn a certain number of masks in each step, the best ones by some score."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from score_sde.processes import MASK, Masked
from score_sde.samplers.token_draws import most
from score_sde.samplers.token_sampler import TokenSampler, TokenState


@dataclasses.dataclass(frozen=True)
class Counted(TokenSampler):
    """After i of S steps floor(n (S - i) / S) of the n masks at the beginning are left.

    With as many steps as tokens, that is one token a step. Subclasses define `scores`.
    """

    def move(
        self,
        key: jax.Array,
        state: TokenState,
        log_probs: jax.Array,
        drawn: jax.Array,
        i: jax.Array,
        process: Masked,
    ) -> tuple[jax.Array, jax.Array]:
        """See TokenSampler: the time is the one of which the share of masks is."""
        masked = state.x == MASK
        at_first, now = (jnp.sum(m, axis=1) for m in (~state.given, masked))
        left = at_first * (self.steps - 1 - i) // self.steps
        turns = most(self.scores(key, log_probs, drawn), masked, now - left)
        x = jnp.where(turns, drawn, state.x)
        return x, self.time(key, state, now, left, process)

    def scores(self, key: jax.Array, log_probs: jax.Array, drawn: jax.Array) -> jax.Array:
        """Which places come first, the largest: [batch, length]; see `move`."""
        raise NotImplementedError

    def time(
        self, key: jax.Array, state: TokenState, now: jax.Array, left: jax.Array, process: Masked
    ) -> jax.Array:
        """The time at which `left` masks, int [batch], are left of `now`: by their share."""
        return process.time(left / state.x.shape[1])
