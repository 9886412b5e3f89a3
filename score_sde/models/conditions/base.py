"""What every kind of condition is: options, and the module that they make for a field."""

from __future__ import annotations

import dataclasses
from typing import Annotated, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from score_sde import sections
from score_sde.fields import Field
from score_sde.models.layers import Dense, unit_rms
from score_sde.values import between


@dataclasses.dataclass(frozen=True)
class Condition:
    """Subclasses are the sections of a config that they share a name with.

    Attributes:
        KIND: of the fields that it embeds; see score_sde.fields.
        BESIDE: whether it is no embedding but channels beside the state; see models.beside.
        dropout: probability of hiding the condition of an example in training, which teaches the
            null that classifier-free guidance needs (Ho and Salimans 2022, arXiv 2207.12598).

    Raises:
        ValueError: dropout is not a probability.
    """

    KIND: ClassVar[str]
    BESIDE: ClassVar[bool] = False

    dropout: Annotated[float, between(0, 1)] = 0.0

    def __post_init__(self) -> None:
        sections.check(self)

    def check(self, field: Field) -> None:
        """Raise ValueError unless a field is of KIND."""
        if field.kind != self.KIND:
            raise ValueError(
                f"{field.name} is of kind {field.kind}: {type(self).__name__} embeds fields of "
                f"kind {self.KIND}"
            )

    def embedding(
        self, field: Field, features: int, *, param_dtype: jnp.dtype, rngs: nnx.Rngs
    ) -> nnx.Module:
        """The module that embeds a field.

        It is called as module(value, batch, key) -> [batch, features]. The value is
        [batch, *field.shape], or None for an example without any; the key is for `dropout`, or None
        for none. A module that gives tokens besides has a method `read`, called in the same way,
        that gives both, and `token_features`, the size of a token.

        Args:
            field: what is embedded.
            features: size of the embedding.
            param_dtype: dtype of the parameters.
            rngs: random streams of the initialisation.

        Raises:
            ValueError: the field is of another kind.
        """
        raise NotImplementedError

    def unit_embedding(
        self, field: Field, features: int, *, param_dtype: jnp.dtype, rngs: nnx.Rngs
    ) -> nnx.Module:
        """The same for a network that preserves magnitudes, as EDM2's.

        It has the arguments as of `embedding`, and its errors.
        """
        return Unit(self.embedding(field, features, param_dtype=param_dtype, rngs=rngs))


class Tokens(NamedTuple):
    """What a network may look at.

    Attributes:
        values: [batch, n, features].
        mask: which of them there are, bool [batch, n].
    """

    values: jax.Array
    mask: jax.Array


class Read(NamedTuple):
    """What a condition gives a network.

    Attributes:
        vector: [batch, features].
        tokens: None of a condition that is a vector alone.
    """

    vector: jax.Array
    tokens: Tokens | None = None


class Unit(nnx.Module):
    """An embedding of root mean square 1, that of another over its own; see layers.unit_rms."""

    def __init__(self, embedding: nnx.Module):
        self.embedding = embedding

    def __call__(self, value: jax.Array | None, batch: int, key: jax.Array | None) -> jax.Array:
        """As the other, [batch, features]; zeros stay zeros."""
        return unit_rms(self.embedding(value, batch, key), (1,))


def check_value(kind: str, value: jax.Array, shape: tuple[int, ...]) -> None:
    """Raise ValueError unless the value of a condition has this shape."""
    if value.shape != shape:
        raise ValueError(f"the condition is of shape {value.shape}; this {kind} takes {shape}")


def shown(known: jax.Array, dropout: float, key: jax.Array | None) -> jax.Array:
    """Which examples a network is told of: those known, less those that dropout hides.

    Args:
        known: bool [batch].
        dropout: probability of hiding one.
        key: JAX random key; None hides none.

    Returns:
        bool [batch].
    """
    if key is None or dropout == 0:
        return known
    return known & ~jax.random.bernoulli(key, dropout, known.shape)


class Continuous(nnx.Module):
    """Numbers to an embedding: two dense layers with a swish between, and a learned null.

    An example with a NaN is not known. Its NaN is replaced before the layers and its embedding
    after them, so that no gradient meets a NaN.

    Args:
        field: what is embedded.
        n_in: features that `inputs` gives the layers.
        features: size of the embedding.
        dropout: probability of hiding an example.
        param_dtype: dtype of the parameters.
        rngs: random streams of the initialisation.
    """

    def __init__(
        self,
        field: Field,
        n_in: int,
        features: int,
        *,
        dropout: float,
        param_dtype: jnp.dtype,
        rngs: nnx.Rngs,
    ):
        self.dense_0 = Dense(n_in, features, param_dtype=param_dtype, rngs=rngs)
        self.dense_1 = Dense(features, features, param_dtype=param_dtype, rngs=rngs)
        self.null = nnx.Param(jnp.zeros(features, param_dtype))
        self.kind, self.shape, self.dropout = field.kind, field.shape, dropout

    def inputs(self, value: jax.Array) -> jax.Array:
        """[batch, *shape of the field], without NaN, to [batch, n_in]."""
        raise NotImplementedError

    def __call__(self, value: jax.Array | None, batch: int, key: jax.Array | None) -> jax.Array:
        """[batch, *shape of the field], or None for no value, to [batch, features].

        Args:
            value: numbers; NaN means that an example has none.
            batch: number of examples.
            key: for dropout; None for none.
        """
        null = self.null[...][None]
        if value is None:
            return jnp.tile(null, (batch, 1))
        check_value(self.kind, value, (batch, *self.shape))
        value = value.astype(jnp.promote_types(value.dtype, jnp.float32))
        missing = jnp.isnan(value)
        known = ~missing.any(axis=tuple(range(1, value.ndim)))
        inputs = self.inputs(jnp.where(missing, 0, value))
        embedding = self.dense_1(jax.nn.silu(self.dense_0(inputs)))
        told = shown(known, self.dropout, key)[:, None]
        return jnp.where(told, embedding, null.astype(embedding.dtype))
