"""Pairs of points: how far the two are apart."""

import jax
import jax.numpy as jnp


def distance(apart: jax.Array, pairs: jax.Array) -> jax.Array:
    """How far two points are apart, [batch, n, m, 1]; 0 of what is no pair, without a gradient.

    Args:
        apart: from one point to the other, [batch, n, m, numbers].
        pairs: 1 for pairs of different points that are there, else 0; [batch, n, m, 1].
    """
    squared = jnp.sum(apart**2, axis=-1, keepdims=True)
    told = (pairs > 0) & (squared > 0)
    return jnp.where(told, jnp.sqrt(jnp.where(told, squared, 1)), 0)


def radial(apart: jax.Array, pairs: jax.Array, waves: int) -> jax.Array:
    """r(d) = (d^2, sines and cosines of 2^k d), d the distance of two: [batch, n, m, 1 + 2 waves].

    Args:
        apart: from one point to the other, [batch, n, m, numbers].
        pairs: see `distance`.
        waves: how many k there are, from 0.
    """
    d = distance(apart, pairs)
    angles = [2.0**k * d for k in range(waves)]
    return jnp.concatenate([d**2, *map(jnp.sin, angles), *map(jnp.cos, angles)], axis=-1)
