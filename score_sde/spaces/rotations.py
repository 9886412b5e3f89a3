"""Random rotations of space, as matrices [3, 3]."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

Draw = Callable[[jax.Array, jnp.dtype], jax.Array]


def none(key: jax.Array, dtype: jnp.dtype) -> jax.Array:
    """The identity."""
    return jnp.eye(3, dtype=dtype)


def vertical(key: jax.Array, dtype: jnp.dtype) -> jax.Array:
    """About the third axis, each angle as likely."""
    angle = jax.random.uniform(key, (), dtype, 0, 2 * jnp.pi)
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    zero, one = jnp.zeros_like(cos), jnp.ones_like(cos)
    return jnp.array([[cos, -sin, zero], [sin, cos, zero], [zero, zero, one]])


def every(key: jax.Array, dtype: jnp.dtype) -> jax.Array:
    """Uniform over all rotations: of a unit quaternion from the normal distribution.

    Its direction is uniform on the sphere of four dimensions (Shoemake 1992).
    """
    q = jax.random.normal(key, (4,), dtype)
    w, v = q[0], q[1:]
    square = jnp.sum(q**2)
    x, y, z = v
    zero = jnp.zeros_like(x)
    across = jnp.array([[zero, -z, y], [z, zero, -x], [-y, x, zero]])
    turned = (w**2 - jnp.sum(v**2)) * jnp.eye(3, dtype=dtype)
    return (turned + 2 * jnp.outer(v, v) + 2 * w * across) / square


ROTATIONS: dict[str, Draw] = {"none": none, "vertical": vertical, "all": every}
