"""A vector: two dense layers on it."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import nnx

from score_sde.fields import Field
from score_sde.models.conditions.base import Condition, Continuous


class VectorEmbedding(Continuous):
    """Continuous on the vector itself."""

    def inputs(self, value: jax.Array) -> jax.Array:
        """The vectors themselves, [batch, d]."""
        return value


@dataclasses.dataclass(frozen=True)
class Vector(Condition):
    """How a network is told a vector, of about unit size; see Condition for the options."""

    KIND: ClassVar[str] = "vector"

    def embedding(
        self, field: Field, features: int, *, param_dtype: jnp.dtype, rngs: nnx.Rngs
    ) -> VectorEmbedding:
        """Dense layers on the vector; see Condition.embedding."""
        self.check(field)
        (d,) = field.shape
        return VectorEmbedding(
            field, d, features, dropout=self.dropout, param_dtype=param_dtype, rngs=rngs
        )
