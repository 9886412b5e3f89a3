"""Few numbers beside many, such as a bias beside all pixels, and the sums that go back to them.

Of y = x + b, with b the same at n positions, the gradient of b is a sum of n numbers. JAX takes it
in the dtype of y. In bfloat16, where 256 + 1 is 256, that may lose most of it; a GPU that adds in
bfloat16 by itself does so. Here it is taken in float32, and rounded once.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir


def spread(values: jax.Array, x: jax.Array) -> jax.Array:
    """Values as they stand beside x, in whose dtype they are.

    Args:
        values: as many axes as x has, each of its size or of 1.
        x: any array.

    Returns:
        What broadcasts to the shape of x; in half precision what has it.
    """
    values = values.astype(x.dtype)
    if x.dtype.itemsize >= 4:
        return values
    return _spread_p.bind(values, shape=x.shape)


def _spread(values: jax.Array, *, shape: tuple[int, ...]) -> jax.Array:
    return jnp.broadcast_to(values, shape)


def _sum(g: jax.Array, values: Any, *, shape: tuple[int, ...]) -> list[jax.Array]:
    small = values.aval.shape
    axes = tuple(i for i, (few, many) in enumerate(zip(small, shape, strict=True)) if few != many)
    wide = jnp.promote_types(g.dtype, jnp.float32)
    return [jnp.sum(g.astype(wide), axes, keepdims=True).astype(g.dtype)]


def _batch(args: Any, axes: Any, *, shape: tuple[int, ...]) -> tuple[jax.Array, int]:
    values = jnp.moveaxis(args[0], axes[0], 0)
    return _spread_p.bind(values, shape=(len(values), *shape)), 0


_spread_p = Primitive("spread")
_spread_p.def_impl(jax.jit(_spread_p.bind, static_argnames="shape"))
_spread_p.def_abstract_eval(lambda values, *, shape: values.update(shape=shape, weak_type=False))
mlir.register_lowering(_spread_p, mlir.lower_fun(_spread, multiple_results=False))
ad.deflinear2(_spread_p, _sum)
batching.primitive_batchers[_spread_p] = _batch
