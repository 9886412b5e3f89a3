"""Clipping by the norm of a gradient over all arrays, as a product with one number.

That is fused with what uses the clipped gradient. A quotient, as optax has it, is not: XLA takes it
for costly, and writes every array of the gradient once more.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax


def global_norm(tree: Any) -> jax.Array:
    """Square root of the sum of the squares of all numbers of all arrays, in float32 or better."""
    squares = [_squares(array) for array in jax.tree.leaves(tree)]
    return jnp.sqrt(jnp.sum(jnp.stack(squares)))


def _squares(array: jax.Array) -> jax.Array:
    wide = array.astype(jnp.promote_types(array.dtype, jnp.float32))
    return jnp.sum(wide * wide)


def clip_by_global_norm(most: float) -> optax.GradientTransformation:
    """Gradients times min(1, most / their norm) (Pascanu et al. 2013, arXiv 1211.5063).

    Args:
        most: the norm of what is longer.
    """

    def update(updates: Any, state: optax.EmptyState, params: Any = None) -> tuple[Any, Any]:
        del params
        factor = jnp.minimum(1.0, most / global_norm(updates))
        return jax.tree.map(lambda g: g * factor.astype(g.dtype), updates), state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)
