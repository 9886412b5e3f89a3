"""A number: two dense layers on random Fourier features of it."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import nnx

from score_sde.fields import Field
from score_sde.models.conditions.base import Condition, Continuous
from score_sde.models.embeddings import fourier
from score_sde.models.layers import Constant, Layer
from score_sde.values import Positive


class NumberEmbedding(Continuous):
    """Random Fourier features (Tancik et al. 2020, arXiv 2006.10739), then Continuous.

    Half as many features as the embedding has, as for the noise level.

    Args:
        field: what is embedded.
        features: size of the embedding.
        scale: see Number.
        dropout: probability of hiding a number.
        param_dtype: dtype of the parameters.
        rngs: random streams of the initialisation; frequencies come from the stream `constants`.
    """

    def __init__(
        self,
        field: Field,
        features: int,
        *,
        scale: float,
        dropout: float,
        param_dtype: jnp.dtype,
        rngs: nnx.Rngs,
    ):
        n = max(features // 4, 1)
        layer: Layer = {"param_dtype": param_dtype, "rngs": rngs}
        super().__init__(field, 2 * n, features, dropout=dropout, **layer)
        self.frequencies = Constant(jax.random.normal(rngs.constants(), (n,), param_dtype))
        self.scale = scale

    def inputs(self, value: jax.Array) -> jax.Array:
        """[batch] to sines and cosines of value / scale, [batch, n_in]."""
        return fourier(value / self.scale, self.frequencies[...])


@dataclasses.dataclass(frozen=True)
class Number(Condition):
    """How a network is told a number; see Condition for `dropout`.

    Attributes:
        scale: a difference, in the number's own units, that means much: about its standard
            deviation over the data. The features have frequencies of about one cycle in it.

    Raises:
        ValueError: an option is out of its range.
    """

    KIND: ClassVar[str] = "number"

    scale: Positive = 1.0

    def embedding(
        self, field: Field, features: int, *, param_dtype: jnp.dtype, rngs: nnx.Rngs
    ) -> NumberEmbedding:
        """Dense layers on Fourier features; see Condition.embedding."""
        self.check(field)
        return NumberEmbedding(
            field,
            features,
            scale=self.scale,
            dropout=self.dropout,
            param_dtype=param_dtype,
            rngs=rngs,
        )
