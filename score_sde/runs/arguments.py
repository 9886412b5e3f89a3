"""What the arguments of Run.generate may be, checked before anything is compiled."""

from __future__ import annotations

from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np

from score_sde import values
from score_sde.errors import UserError
from score_sde.values import Range

_KINDS = {
    "guidance": float | None,
    "true_guidance": float,
    "rescale": Annotated[float, Range(0, 1)] | None,
    "strength": Annotated[float, Range(0, 1, open_low=True)] | None,
    "until": float,
    "after": float,
    "sizes": tuple[float, ...] | None,
    "negative_sizes": tuple[float, ...] | None,
    "scale": float,
    "start": float,
    "end": float,
}


def check(**given: Any) -> None:
    """Raise UserError unless numbers are what generate says of the arguments of their names."""
    for name, value in given.items():
        is_array = isinstance(value, jax.Array | np.ndarray)
        try:
            values.check(name, value.tolist() if is_array else value, _KINDS[name])
        except ValueError as error:
            raise UserError(str(error)) from error


def keys_of(key: Any, count: int) -> jax.Array:
    """A random key, that of seed 0 for None, or one for each of so many pictures.

    Raises:
        UserError: it is something else.
    """
    if key is None:
        return jax.random.key(0)
    typed = isinstance(key, jax.Array) and jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
    if not typed or key.shape not in ((), (count,)):
        what = f"{key.dtype} {key.shape}" if isinstance(key, jax.Array) else values.shown(key)
        raise UserError(f"key={what}: give jax.random.key(0), or {count} of them, one a picture")
    return key


def start_of(start: Any) -> jax.Array | None:
    """States to begin with, if they are given, of a floating type.

    Raises:
        UserError: they are something else.
    """
    if start is None:
        return None
    floating = hasattr(start, "dtype") and jnp.issubdtype(start.dtype, jnp.floating)
    if not floating or not bool(jnp.isfinite(start).all()):
        raise UserError("start: give an array of finite numbers, of a floating type")
    return jnp.asarray(start)
