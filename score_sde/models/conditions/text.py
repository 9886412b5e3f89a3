"""A text: what a small encoder, trained with the network, makes of its words."""

from __future__ import annotations

import dataclasses
from typing import Annotated, ClassVar

import jax
import jax.numpy as jnp
from flax import nnx

from score_sde.fields import Field
from score_sde.models.conditions.base import Condition, Read, Tokens, check_value, shown
from score_sde.models.layers import Dense, Layer, unit_rms
from score_sde.models.text.reader import TextReader
from score_sde.values import Count, between


class TextEmbedding(nnx.Module):
    """The tokens of a text, and a dense layer on its pooled vector.

    The null is the text "": an example that is hidden is told that one.

    Args:
        field: what is embedded.
        features: size of the embedding.
        options: see Text.
        unit: whether the embedding is of root mean square 1.
        param_dtype: dtype of the parameters.
        rngs: random streams of the initialisation.
    """

    def __init__(
        self,
        field: Field,
        features: int,
        options: Text,
        *,
        unit: bool,
        param_dtype: jnp.dtype,
        rngs: nnx.Rngs,
    ):
        layer: Layer = {"param_dtype": param_dtype, "rngs": rngs}
        self.reader = TextReader(
            words=options.words,
            features=options.features,
            depth=options.depth,
            heads=options.heads,
            rows=options.rows,
            **layer,
        )
        self.dense = Dense(options.features, features, **layer)
        self.shape, self.dropout, self.unit = field.shape, options.dropout, unit
        self.token_features = options.features

    def __call__(self, value: jax.Array | None, batch: int, key: jax.Array | None) -> jax.Array:
        """The vector alone, [batch, features]; see `read`."""
        return self.read(value, batch, key).vector

    def read(self, value: jax.Array | None, batch: int, key: jax.Array | None) -> Read:
        """Texts, uint8 [batch, most bytes], or None for "", to a vector and tokens.

        Args:
            value: UTF-8 with zeros after it.
            batch: number of examples.
            key: for dropout; None for none.
        """
        if value is None:
            value = jnp.zeros((batch, *self.shape), jnp.uint8)
        check_value("text", value, (batch, *self.shape))
        told = shown(jnp.ones(batch, bool), self.dropout, key)
        found = self.reader(jnp.where(told[:, None], value, 0))
        vector = self.dense(found.pooled)
        vector = unit_rms(vector, (1,)) if self.unit else vector
        return Read(vector, Tokens(found.tokens, found.mask))


@dataclasses.dataclass(frozen=True)
class Text(Condition):
    """How a network is told a text; see Condition for `dropout`.

    Attributes:
        words: the most that are read; what comes after is left out.
        features: of a token, a multiple of heads.
        depth: layers of the encoder.
        heads: of its attention.
        rows: of the table that words are hashed to; see models.text.words.

    Raises:
        ValueError: an option is out of its range.
    """

    KIND: ClassVar[str] = "text"

    words: Annotated[int, between(1, 1024)] = 24
    features: Count = 128
    depth: Annotated[int, between(1, 256)] = 2
    heads: Count = 4
    rows: Annotated[int, between(1, 2**24)] = 4096

    def embedding(
        self, field: Field, features: int, *, param_dtype: jnp.dtype, rngs: nnx.Rngs
    ) -> TextEmbedding:
        """A transformer on words; see Condition.embedding.

        Raises:
            ValueError: the field is of another kind, or heads do not divide features.
        """
        return self._made(field, features, False, param_dtype, rngs)

    def unit_embedding(
        self, field: Field, features: int, *, param_dtype: jnp.dtype, rngs: nnx.Rngs
    ) -> TextEmbedding:
        """The same of unit size; see Condition.unit_embedding."""
        return self._made(field, features, True, param_dtype, rngs)

    def _made(
        self, field: Field, features: int, unit: bool, param_dtype: jnp.dtype, rngs: nnx.Rngs
    ) -> TextEmbedding:
        self.check(field)
        if self.features % self.heads:
            raise ValueError(
                f"conditions.text: {self.features} features cannot be divided into {self.heads} "
                "heads"
            )
        layer: Layer = {"param_dtype": param_dtype, "rngs": rngs}
        return TextEmbedding(field, features, self, unit=unit, **layer)
