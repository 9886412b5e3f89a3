"""Attention as the formula has it, with the logits of all queries and keys in one array.

Products in half precision add up in float32, and logits stay so. Their gradient is float32 then
too, and JAX would multiply queries and keys by it in float32, at a fraction of the rate. It is
rounded first, as what else goes back through a network is: see `_logits_p`.
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir


def whole(
    query: jax.Array,
    key: jax.Array,
    value: jax.Array,
    mask: jax.Array | None = None,
    *,
    added: jax.Array | None = None,
    scale: float,
) -> jax.Array:
    """Equation (1) of models.attention, whose arguments it has, but for the scale of the logits."""
    if query.shape[2] == 1 and added is None:  # without an axis of one head XLA need not transpose
        return _of_one_head(*(a[:, :, 0] for a in (query, key, value)), mask, scale)[:, :, None]
    logits = scale * _logits("bqhd,bkhd->bhqk", query, key)
    if added is not None:
        logits = logits + added.astype(logits.dtype)
    logits = logits if mask is None else hide(logits, mask[:, None, None])
    weights = jax.nn.softmax(logits, axis=-1).astype(value.dtype)
    return jnp.einsum("bhqk,bkhd->bqhd", weights, value)


def _of_one_head(
    query: jax.Array, key: jax.Array, value: jax.Array, mask: jax.Array | None, scale: float
) -> jax.Array:
    logits = scale * _logits("bqd,bkd->bqk", query, key)
    logits = logits if mask is None else hide(logits, mask[:, None])
    weights = jax.nn.softmax(logits, axis=-1).astype(value.dtype)
    return jnp.einsum("bqk,bkd->bqd", weights, value)


def _logits(axes: str, query: jax.Array, key: jax.Array) -> jax.Array:
    """Products of queries and keys by the letters of their axes, in float32 or better."""
    if query.dtype == key.dtype and query.dtype.itemsize < 4:
        return _logits_p.bind(query, key, axes=axes)
    return _product(query, key, axes=axes)


def _product(query: jax.Array, key: jax.Array, *, axes: str) -> jax.Array:
    wide = jnp.promote_types(query.dtype, jnp.float32)
    return jnp.einsum(axes, query, key, preferred_element_type=wide)


def hide(logits: jax.Array, mask: jax.Array) -> jax.Array:
    """The logits where a mask of as many axes is true, and else the least that there is."""
    return jnp.where(mask, logits, jnp.finfo(logits.dtype).min)


# Linear in both arguments, so that its derivatives are products of what it is given in every mode.
_logits_p = Primitive("attention_logits")
_logits_p.def_impl(jax.jit(_logits_p.bind, static_argnames="axes"))
mlir.register_lowering(_logits_p, mlir.lower_fun(_product, multiple_results=False))


def _shape(query: Any, key: Any, *, axes: str) -> Any:
    found = jax.eval_shape(functools.partial(_product, axes=axes), query, key)
    return query.update(shape=found.shape, dtype=found.dtype, weak_type=False)


def _of_query(g: jax.Array, _: Any, key: jax.Array, *, axes: str) -> jax.Array:
    given, result = axes.split("->")
    of_query, of_key = given.split(",")
    return jnp.einsum(f"{result},{of_key}->{of_query}", g.astype(key.dtype), key)


def _of_key(g: jax.Array, query: jax.Array, _: Any, *, axes: str) -> jax.Array:
    given, result = axes.split("->")
    of_query, of_key = given.split(",")
    return jnp.einsum(f"{result},{of_query}->{of_key}", g.astype(query.dtype), query)


def _batch(args: Any, axes_of_batch: Any, *, axes: str) -> tuple[jax.Array, int]:
    return jax.vmap(functools.partial(_product, axes=axes), axes_of_batch)(*args), 0


_logits_p.def_abstract_eval(_shape)
ad.defbilinear(_logits_p, _of_query, _of_key)
batching.primitive_batchers[_logits_p] = _batch
