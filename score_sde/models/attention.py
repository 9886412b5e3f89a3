r"""Attention of several heads (Vaswani et al. 2017, arXiv 1706.03762, Section 3.2).

Of each head

    softmax(q k^T / sqrt(d)) v.                                                             (1)

The logits of n queries and m keys are n m numbers of each head, over which a softmax passes several
times. Where these are more than a cache holds, a CPU is as slow as its memory; so there they are
made of some queries of one head at a time, and never all. The sum divides last,

    softmax(l) v = (exp(l - max l) v) / sum exp(l - max l),                                 (2)

where there are d numbers to divide and not m. Other backends have (1) as one program, and make more
of it themselves. Which it is says the platform that a program is lowered for. On an NVIDIA GPU a
fused kernel can be asked for, see attention_cudnn.
"""

from __future__ import annotations

import functools
import math

import jax
import jax.numpy as jnp

from score_sde.models import attention_cudnn
from score_sde.models.attention_whole import hide, whole

_MANY = 2**17  # logits of a head, from which on they are made in parts
_PART = 2**19  # of a part: 2 MB in float32


def attend(
    query: jax.Array,
    key: jax.Array,
    value: jax.Array,
    mask: jax.Array | None = None,
    *,
    added: jax.Array | None = None,
    scaled: bool = True,
    in_parts: bool | None = None,
) -> jax.Array:
    """Equation (1), with what is added to the logits.

    Args:
        query: [batch, queries, heads, d].
        key: [batch, keys, heads, d].
        value: [batch, keys, heads, d].
        mask: bool [batch, keys], whether a key is seen; None for all. Without any, all count.
        added: a, [1 or batch, 1 or heads, queries, keys], -inf where a query does not see a key;
            None for nothing.
        scaled: whether logits are divided by sqrt d.
        in_parts: some queries of one head at a time, to whose logits nothing is added; None: on a
            CPU, where there are many.

    Returns:
        [batch, queries, heads, d], of the dtype of value; the softmax is in float32 or better.
    """
    scale = 1 / math.sqrt(query.shape[-1]) if scaled else 1.0
    given = (query, key, value) if mask is None else (query, key, value, mask)
    parts = functools.partial(_in_parts, scale=scale)
    as_one = functools.partial(whole, added=added, scale=scale)
    plain = in_parts is None and mask is None and added is None
    if plain and attention_cudnn.asked() and attention_cudnn.fits(query, key, value):
        return attention_cudnn.attend(query, key, value, scale)
    if in_parts is None and query.shape[1] * key.shape[1] > _MANY and added is None:
        return jax.lax.platform_dependent(*given, cpu=parts, default=as_one)
    return parts(*given) if in_parts else as_one(*given)


def _in_parts(
    query: jax.Array,
    key: jax.Array,
    value: jax.Array,
    mask: jax.Array | None = None,
    *,
    scale: float,
) -> jax.Array:
    batch, queries, heads, d = query.shape
    keys = key.shape[1]
    rows = max(1, min(queries, _PART // keys))
    parts = -(-queries // rows)
    padded = jnp.pad(query, ((0, 0), (0, parts * rows - queries), (0, 0), (0, 0)))
    each = (
        padded.transpose(0, 2, 1, 3).reshape(batch * heads, parts, rows, d),
        key.transpose(0, 2, 3, 1).reshape(batch * heads, d, keys),
        value.transpose(0, 2, 1, 3).reshape(batch * heads, keys, -1),
        None if mask is None else jnp.repeat(mask, heads, axis=0),
    )

    def of_head(given: tuple[jax.Array, ...]) -> jax.Array:
        query, key, value, mask = given
        return jax.lax.map(lambda part: _of_part(part, key, value, mask, scale), query)

    found = jax.lax.map(of_head, each).reshape(batch, heads, parts * rows, -1)
    return found[:, :, :queries].transpose(0, 2, 1, 3)


def _of_part(
    query: jax.Array, key: jax.Array, value: jax.Array, mask: jax.Array | None, scale: float
) -> jax.Array:
    """Equation (2); query [rows, d], key [d, keys], value [keys, d], mask [keys] or None."""
    wide = jnp.promote_types(query.dtype, jnp.float32)
    logits = scale * jnp.matmul(query, key, preferred_element_type=wide)
    logits = logits if mask is None else hide(logits, mask[None])
    weights = jnp.exp(logits - logits.max(axis=-1, keepdims=True))
    found = jnp.matmul(weights.astype(value.dtype), value, preferred_element_type=wide)
    return (found / weights.sum(axis=-1, keepdims=True)).astype(value.dtype)
