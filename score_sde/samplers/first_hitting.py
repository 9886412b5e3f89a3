r"""The times at which tokens turn, instead of small steps that mostly turn none.

While n masks are left at t, the first of them turns at s with

    sigma_s = sigma_t u^(1 / n),    u uniform in (0, 1),                                     (1)

and each of them as likely (Zheng et al. 2024, arXiv 2409.02908, equation 14). So as many
predictions as tokens draw exactly what infinitely many ancestral steps would; with fewer, several
tokens turn by one prediction.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from score_sde import keys
from score_sde.processes import Masked
from score_sde.samplers.counted import Counted
from score_sde.samplers.token_sampler import TokenState


@dataclasses.dataclass(frozen=True)
class FirstHitting(Counted):
    """Equation (1) of the module, in an order that is random; see TokenSampler for the options."""

    def scores(self, key: jax.Array, log_probs: jax.Array, drawn: jax.Array) -> jax.Array:
        """See Counted: random."""
        return keys.uniform(keys.fold_in(key, 0), drawn.shape, log_probs.dtype)

    def time(
        self, key: jax.Array, state: TokenState, now: jax.Array, left: jax.Array, process: Masked
    ) -> jax.Array:
        """Equation (1) for each token that turns, from `now` masks to `left`, one after another."""
        n = jnp.arange(1, state.x.shape[1] + 1)
        u = 1 - keys.uniform(keys.fold_in(key, 1), state.x.shape, state.t.dtype)
        turning = (n[None] > left[:, None]) & (n[None] <= now[:, None])
        factors = jnp.where(turning, u ** (1 / n)[None].astype(u.dtype), 1)
        return process.time(process.sigma(state.t) * jnp.prod(factors, axis=1))
