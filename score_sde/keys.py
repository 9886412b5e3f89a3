"""Random keys of a batch: one for all of its examples, or one for each.

One key, [], draws a batch as a whole: another batch size draws other numbers. A vector of keys,
[batch], draws each example from its own, so that an example depends neither on its place in a
batch nor on what else is in it. Whatever draws noise here takes either.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
from jax.typing import ArrayLike, DTypeLike


def is_vector(key: jax.Array) -> bool:
    """Whether there is one key for each example (typed keys, from `jax.random.key`)."""
    return jax.dtypes.issubdtype(key.dtype, jax.dtypes.prng_key) and key.ndim == 1


def of_examples(key: jax.Array, numbers: jax.Array) -> jax.Array:
    """The keys of examples by their numbers, integers [batch], of one key or of one each."""
    return jax.vmap(jax.random.fold_in, (0 if is_vector(key) else None, 0))(key, numbers)


def fold_in(key: jax.Array, data: ArrayLike) -> jax.Array:
    """`jax.random.fold_in` with a number [], into one key or into each; shape of key."""
    if is_vector(key):
        return jax.vmap(jax.random.fold_in, (0, None))(key, data)
    return jax.random.fold_in(key, data)


def normal(key: jax.Array, shape: tuple[int, ...], dtype: DTypeLike) -> jax.Array:
    """Standard normal numbers.

    Args:
        key: one key [], or one for each example [batch].
        shape: [batch, *data].
        dtype: of the result.

    Raises:
        ValueError: there are more or fewer keys than examples.
    """
    return _drawn(jax.random.normal, key, shape, dtype)


def uniform(key: jax.Array, shape: tuple[int, ...], dtype: DTypeLike) -> jax.Array:
    """Uniform numbers in [0, 1); arguments and errors as of `normal`."""
    return _drawn(jax.random.uniform, key, shape, dtype)


def gumbel(key: jax.Array, shape: tuple[int, ...], dtype: DTypeLike) -> jax.Array:
    """Numbers of the standard Gumbel distribution; arguments and errors as of `normal`."""
    return _drawn(jax.random.gumbel, key, shape, dtype)


def _drawn(
    draw: Callable[..., jax.Array], key: jax.Array, shape: tuple[int, ...], dtype: DTypeLike
) -> jax.Array:
    if not is_vector(key):
        return draw(key, shape, dtype)
    if key.shape != tuple(shape[:1]):
        raise ValueError(f"{key.shape[0]} keys for a batch of shape {tuple(shape)}: give one each")
    return jax.vmap(lambda one: draw(one, shape[1:], dtype))(key)
