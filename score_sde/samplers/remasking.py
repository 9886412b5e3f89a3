r"""Ancestral sampling that masks tokens again, so that early ones can be mended.

Of Wang et al. 2025 (ReMDM, arXiv 2503.00307), equation 6 and Section 4.1. From t to s a token that
is drawn already is masked again with the probability

    r = eta min(1, sigma_s / alpha_t),                                                      (1)

and a mask turns into a token with

    (alpha_s - (1 - r) alpha_t) / sigma_t,                                                  (2)

so that at every time the share of masks is what it is without: alpha_s = (1 - r) alpha_t + (2)
sigma_t. eta = 0 is `unmasking`.
"""

from __future__ import annotations

import dataclasses
from typing import Annotated

import jax
import jax.numpy as jnp

from score_sde import keys
from score_sde.processes import MASK, Masked
from score_sde.samplers.token_sampler import TokenSampler, TokenState
from score_sde.values import between


@dataclasses.dataclass(frozen=True)
class Remasking(TokenSampler):
    """Equations (1) and (2) of the module; tokens that are given are not masked.

    Attributes:
        eta: the share of the largest probability with which a token is masked again.
    """

    eta: Annotated[float, between(0, 1)] = 0.2

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
        again, turning = self.probabilities(process, state.t, s)
        u, masked = keys.uniform(key, state.x.shape, s.dtype), state.x == MASK
        turned = jnp.where(u < turning[:, None], drawn, MASK)
        kept = jnp.where(u < again[:, None], MASK, state.x)
        return jnp.where(masked, turned, kept), s

    def probabilities(
        self, process: Masked, t: jax.Array, s: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """Equations (1) and (2), shape of t."""
        alpha, left = process.alpha(t), process.sigma(s)
        again = self.eta * jnp.where(alpha > left, left / jnp.where(alpha > 0, alpha, 1), 1)
        return again, 1 - (left - again * alpha) / process.sigma(t)
