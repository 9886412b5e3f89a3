"""A class: a row of a table."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

import jax
import jax.numpy as jnp
from flax import nnx

from score_sde.checks import check_count
from score_sde.fields import Field
from score_sde.models.conditions.base import Condition, check_value, shown
from score_sde.models.layers import UnitParam, kernel_param, unit_rms

T = TypeVar("T")


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
        self.table = kernel_param(rngs.params(), (classes + 1, features), param_dtype)
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
        return self.rows().at[row].get(mode="fill", fill_value=jnp.nan)

    def rows(self) -> jax.Array:
        """[classes + 1, features]."""
        return self.table[...]


class UnitLabelEmbedding(LabelEmbedding):
    """Each feature has root mean square 1 over the classes, and no class is zero.

    So a class has about that size too: the dense layer on one-hot vectors of Karras et al. 2023
    (arXiv 2312.02696, Appendix B), whose weights are of unit size. See LabelEmbedding for the rest.
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
        drawn = jax.random.normal(rngs.params(), (classes, features), param_dtype)
        self.table = UnitParam(drawn)
        self.classes, self.dropout = classes, dropout

    def rows(self) -> jax.Array:
        """[classes + 1, features]."""
        return jnp.pad(unit_rms(self.table[...]), ((0, 1), (0, 0)))


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
        return self._table(LabelEmbedding, field, features, param_dtype=param_dtype, rngs=rngs)

    def unit_embedding(
        self, field: Field, features: int, *, param_dtype: jnp.dtype, rngs: nnx.Rngs
    ) -> UnitLabelEmbedding:
        """A table of unit size; see Condition.unit_embedding."""
        return self._table(UnitLabelEmbedding, field, features, param_dtype=param_dtype, rngs=rngs)

    def _table(self, kind: Callable[..., T], field: Field, features: int, **layer: Any) -> T:
        self.check(field)
        check_count(f"the number of classes of {field.name}", field.values)
        return kind(field.values, features, dropout=self.dropout, **layer)
