"""What every sampler takes and returns, and where it starts."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp

from score_sde import keys
from score_sde.prediction import Denoiser
from score_sde.processes import SDE

# A sampler's key is folded with one of these first: samplers that share a key share their start.
PRIOR, NOISE = 0, 1


class Samples(NamedTuple):
    """What a sampler returns.

    Attributes:
        x: samples, [batch, *data].
        nfe: how often the denoiser was evaluated on the batch; an integer array under `jax.jit`.
    """

    x: jax.Array
    nfe: int | jax.Array


class Sampler(Protocol):
    """What every sampler is: a frozen dataclass of options that is called like this."""

    def __call__(
        self,
        key: jax.Array,
        denoise: Denoiser,
        sde: SDE,
        *,
        shape: tuple[int, ...] | None = None,
        x_init: jax.Array | None = None,
        cond: Any = None,
    ) -> Samples:
        """Sample; exactly one of `shape` and `x_init` (the state at t_max), [batch, *data].

        With a vector of keys, [batch], the randomness of an example is a function of its own key.
        """

    @property
    def coupling(self) -> str:
        """What makes a sample depend on the others of its batch, in words; "" if nothing does."""

    def check(self, sde: SDE) -> None:
        """Raise ValueError if these options cannot work for a process; nothing is computed."""


def initial_state(
    key: jax.Array, sde: SDE, shape: tuple[int, ...] | None, x_init: jax.Array | None
) -> jax.Array:
    """The state at t_max: a draw from the prior, or the one that is given.

    Args:
        key: the sampler's key, or keys.
        sde: the forward process.
        shape: [batch, *data], to draw from the prior in JAX's default float; or None.
        x_init: [batch, *data] of a floating dtype, to start there; or None.

    Raises:
        ValueError: both or neither are given, or x_init is not of a floating dtype.
    """
    if (shape is None) == (x_init is None):
        raise ValueError("give exactly one of shape (to draw from the prior) and x_init")
    if shape is not None:
        return sde.prior_sample(keys.fold_in(key, PRIOR), tuple(shape))
    x_init = jnp.asarray(x_init)
    if not jnp.issubdtype(x_init.dtype, jnp.floating):
        raise ValueError(f"x_init must be of a floating dtype, not {x_init.dtype}")
    return x_init
