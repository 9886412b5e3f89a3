"""Drawing tokens from predicted log-probabilities."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from score_sde import keys
from score_sde.token_prediction import NEVER


def draw(
    key: jax.Array, log_probs: jax.Array, temperature: float = 1.0, top_p: float = 1.0
) -> jax.Array:
    """A token for each place, each from its own distribution.

    Args:
        key: JAX random key, or one for each example, [batch].
        log_probs: [batch, length, V]; they need not be normalised.
        temperature: they are divided by it; at 0 the most probable token is taken.
        top_p: of the most probable tokens the fewest whose probabilities add up to this; the
            others are never drawn (Holtzman et al. 2019, arXiv 1904.09751).

    Returns:
        int32 [batch, length].
    """
    if temperature == 0:
        return jnp.argmax(log_probs, axis=-1).astype(jnp.int32)
    # The largest is 0 at any temperature, however low; what cannot be still cannot at a high one.
    log_probs = log_probs - jnp.max(log_probs, axis=-1, keepdims=True)
    scaled = log_probs / max(temperature, float(jnp.finfo(log_probs.dtype).tiny))
    log_probs = jnp.where(log_probs < NEVER / 2, NEVER, scaled)
    if top_p < 1:
        log_probs = nucleus(log_probs, top_p)
    # The largest of log p + g is a draw from p, for g of the standard Gumbel distribution.
    noisy = log_probs + keys.gumbel(key, log_probs.shape, log_probs.dtype)
    return jnp.argmax(noisy, axis=-1).astype(jnp.int32)


def nucleus(log_probs: jax.Array, top_p: float) -> jax.Array:
    """Log-probabilities, [..., V], in which tokens outside the smallest set of top_p are NEVER."""
    log_probs = jax.nn.log_softmax(log_probs)
    order = jnp.argsort(-log_probs, axis=-1)
    sorted_probs = jnp.exp(jnp.take_along_axis(log_probs, order, axis=-1))
    before = jnp.cumsum(sorted_probs, axis=-1) - sorted_probs  # of tokens that are more probable
    rank = jnp.argsort(order, axis=-1)
    kept = (jnp.take_along_axis(before, rank, axis=-1) < top_p) | (rank == 0)
    return jnp.where(kept, log_probs, NEVER)


def most(scores: jax.Array, among: jax.Array, number: jax.Array) -> jax.Array:
    """The places of the largest scores.

    Args:
        scores: [batch, length].
        among: bool [batch, length], the places that may be chosen.
        number: how many of them, int [batch].

    Returns:
        bool [batch, length].
    """
    order = jnp.argsort(jnp.where(among, -scores, jnp.inf), axis=1)
    return among & (jnp.argsort(order, axis=1) < number[:, None])
