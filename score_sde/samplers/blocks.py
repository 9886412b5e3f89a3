"""Block after block from left to right, and within a block the surest first.

The semi-autoregressive sampling of LLaDA (Nie et al. 2025, arXiv 2502.09992, Section 2.4) and of
block diffusion (Arriola et al. 2025, arXiv 2503.09573): a block of one token is autoregressive.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from score_sde.samplers.ordered import Ordered
from score_sde.values import Count


@dataclasses.dataclass(frozen=True)
class Blocks(Ordered):
    """A mask turns before all of later blocks; see Ordered for the other options.

    Attributes:
        block: tokens of a block.
    """

    block: Count = 32

    def scores(self, key: jax.Array, log_probs: jax.Array, drawn: jax.Array) -> jax.Array:
        """See Counted: the block counts first, so scores only decide within one."""
        length = drawn.shape[1]
        scores = super().scores(key, log_probs, drawn)
        of_block = jnp.broadcast_to(jnp.arange(length) // self.block, scores.shape)
        order = jnp.lexsort((-scores, of_block), axis=1)
        # Ranks, which no number of tokens makes equal by rounding.
        return -jnp.argsort(order, axis=1).astype(jnp.float32)
