"""What an encoder of texts gives, and the table that each begins with."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx


class Encoded(NamedTuple):
    """A batch of texts, encoded.

    Attributes:
        states: what goes into the first layer and comes out of each, without the final norm,
            [depth + 1, batch, tokens, features]. Under jax.jit, what nobody reads is not kept.
        last: the tokens after the final norm, [batch, tokens, features].
        pooled: a vector for each text, [batch, d]; None of an encoder that has none.
    """

    states: jax.Array
    last: jax.Array
    pooled: jax.Array | None


class TokenTable(nnx.Module):
    """A vector for each id.

    Args:
        tokens: how many ids there are.
        features: of a vector.
        std: standard deviation of the initialisation, which is normal.
        param_dtype: dtype of the parameters.
        rngs: random streams of the initialisation.
    """

    def __init__(
        self, tokens: int, features: int, *, std: float, param_dtype: jnp.dtype, rngs: nnx.Rngs
    ):
        drawn = jax.nn.initializers.normal(std)
        self.table = nnx.Param(drawn(rngs.params(), (tokens, features), param_dtype))

    def __call__(self, ids: jax.Array) -> jax.Array:
        """Ids, int [...], to [..., features]. An id beyond the table gives NaN."""
        return (
            self.table[...]
            .at[ids]
            .get(mode="fill", fill_value=jnp.nan, wrap_negative_indices=False)
        )
