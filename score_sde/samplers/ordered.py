r"""The places of which a prediction is surest first.

How sure: by the probability of the token that was drawn (Chang et al. 2022, arXiv 2202.04200;
LLaDA, Nie et al. 2025, arXiv 2502.09992, "low-confidence remasking"), by the entropy of the
prediction, or by the difference of its two largest probabilities (Kim et al. 2025, arXiv
2502.06768). The order by entropy or margin does not look at what is drawn: with one token a step
the exact predictor then draws exactly.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Annotated

import jax
import jax.numpy as jnp

from score_sde.samplers.counted import Counted
from score_sde.values import one_of


def confidence(log_probs: jax.Array, drawn: jax.Array) -> jax.Array:
    """log p of what was drawn, [batch, length]."""
    return jnp.take_along_axis(log_probs, drawn[..., None], axis=-1)[..., 0]


def negative_entropy(log_probs: jax.Array, drawn: jax.Array) -> jax.Array:
    """sum p log p, [batch, length]."""
    return jnp.sum(jnp.exp(log_probs) * log_probs, axis=-1)


def margin(log_probs: jax.Array, drawn: jax.Array) -> jax.Array:
    """The largest p less the second, which is 0 of one token alone, [batch, length]."""
    largest = jax.lax.top_k(jnp.exp(log_probs), min(2, log_probs.shape[-1]))[0]
    return largest[..., 0] - jnp.sum(largest[..., 1:], axis=-1)


SCORES: dict[str, Callable[[jax.Array, jax.Array], jax.Array]] = {
    "confidence": confidence,
    "entropy": negative_entropy,
    "margin": margin,
}


@dataclasses.dataclass(frozen=True)
class Ordered(Counted):
    """The orders of the module; see TokenSampler for the other options.

    Attributes:
        by: what says how sure a prediction is: "confidence", "entropy" or "margin".
    """

    by: Annotated[str, one_of(SCORES)] = "confidence"

    def scores(self, key: jax.Array, log_probs: jax.Array, drawn: jax.Array) -> jax.Array:
        """See Counted."""
        return SCORES[self.by](jax.nn.log_softmax(log_probs), drawn)
