r"""Ancestral sampling of masked tokens: the reverse process in equal steps of time.

From t to s each mask turns, whatever the others do, into a token of its own prediction with the
probability 1 - sigma_s / sigma_t (Sahoo et al. 2024, arXiv 2406.07524, equation 6). Tokens that
turn in one step do not know of each other: with few steps that is an error that no model mends.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from score_sde import keys
from score_sde.processes import MASK, Masked
from score_sde.samplers.token_sampler import TokenSampler, TokenState


@dataclasses.dataclass(frozen=True)
class Unmasking(TokenSampler):
    """The step of the module; see TokenSampler for the options."""

    def move(
        self,
        key: jax.Array,
        state: TokenState,
        log_probs: jax.Array,
        drawn: jax.Array,
        i: jax.Array,
        process: Masked,
    ) -> tuple[jax.Array, jax.Array]:
        """See TokenSampler."""
        s = jnp.full_like(state.t, 1 - (i + 1) / self.steps)
        u = keys.uniform(key, state.x.shape, s.dtype)
        turns = (state.x == MASK) & (u < process.reveals(state.t, s)[:, None])
        return jnp.where(turns, drawn, state.x), s
