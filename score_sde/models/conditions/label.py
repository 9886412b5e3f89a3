"""A class: a row of a table."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import nnx

from score_sde.checks import check_count
from score_sde.fields import Field
from score_sde.models.conditions.base import Condition, check_value, shown
from score_sde.models.layers import init_kernel


class LabelEmbedding(nnx.Module):
    """A table with a row for each class and a last one for no class.

    Args:
        classes: number of classes.
        features: size of the embedding.
        dropout: probability of replacing a label by no class.
        param_dtype: dtype of the parameters.
        rngs: random streams of the initialisation.
    """

    def __init__(
        self,
        classes: int,
        features: int,
        *,
        dropout: float,
        param_dtype: jnp.dtype,
        rngs: nnx.Rngs,
    ):
        self.table = nnx.Param(init_kernel()(rngs.params(), (classes + 1, features), param_dtype))
        self.classes, self.dropout = classes, dropout

    def __call__(self, label: jax.Array | None, batch: int, key: jax.Array | None) -> jax.Array:
        """Labels, int [batch], or None for no class, to [batch, features].

        Args:
            label: 0 to classes - 1; `classes` itself, or a negative number, means no class. What
                is beyond is the label of other data: its row is not a number.
            batch: number of examples.
            key: for dropout; None for none.
        """
        if label is None:
            label = jnp.full(batch, self.classes)
        check_value("label", label, (batch,))
        known = (label >= 0) & (label < self.classes)
        row = jnp.where(shown(known, self.dropout, key), label, self.classes)
        row = jnp.where(label > self.classes, label, row)
        return self.table[...].at[row].get(mode="fill", fill_value=jnp.nan)


@dataclasses.dataclass(frozen=True)
class Label(Condition):
    """How a network is told a class; see Condition for the options."""

    KIND: ClassVar[str] = "label"

    def embedding(
        self, field: Field, features: int, *, param_dtype: jnp.dtype, rngs: nnx.Rngs
    ) -> LabelEmbedding:
        """A table; see Condition.embedding.

        Raises:
            ValueError: the field is of another kind, or does not say how many classes there are.
        """
        self.check(field)
        check_count(f"the number of classes of {field.name}", field.values)
        return LabelEmbedding(
            field.values, features, dropout=self.dropout, param_dtype=param_dtype, rngs=rngs
        )
