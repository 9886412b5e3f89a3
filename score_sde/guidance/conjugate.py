"""Conjugate gradients, for each example of a batch on its own."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp


def solved(apply: Callable[[jax.Array], jax.Array], b: jax.Array, iterations: int) -> jax.Array:
    """x with A x = b, for A symmetric and positive semidefinite (Hestenes and Stiefel 1952).

    Args:
        apply: A x of x; each is [batch, ...], and examples do not mix.
        b: [batch, ...].
        iterations: how often A is applied, at most; d suffice for examples of d numbers, and as
            many as A has different eigenvalues. An example that is done stays as it is.
    """
    axes = tuple(range(1, b.ndim))

    def dot(u: jax.Array, v: jax.Array) -> jax.Array:
        return jnp.sum(u * v, axes, keepdims=True)

    def ratio(a: jax.Array, b: jax.Array) -> jax.Array:
        return jnp.where(b > 0, a / jnp.where(b > 0, b, 1), 0)

    done = jnp.finfo(b.dtype).eps ** 2 * dot(b, b)

    def step(_: int, state: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
        x, rest, direction, square = state
        image = apply(direction)
        size = jnp.where(square > done, ratio(square, dot(direction, image)), 0)
        x, rest = x + size * direction, rest - size * image
        after = dot(rest, rest)
        return x, rest, rest + ratio(after, square) * direction, after

    start = (jnp.zeros_like(b), b, b, dot(b, b))
    return jax.lax.fori_loop(0, iterations, step, start)[0]
