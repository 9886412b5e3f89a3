"""Images, and the first frames of videos: channels that a network sees beside the state."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import nnx

from score_sde.fields import Field
from score_sde.models.conditions.base import Condition, check_value, shown


class Channels(nnx.Module):
    """[y, m] of models.beside: what is told in [-1, 1], and 1 where something is; both 0 else.

    Args:
        field: an image or a video.
        dropout: probability of hiding that of an example.
    """

    def __init__(self, field: Field, *, dropout: float):
        self.field, self.dropout = field, dropout

    def __call__(self, value: jax.Array | None, batch: int, key: jax.Array | None) -> jax.Array:
        """Pixels, uint8 [batch, *field.shape], or None for none, to one more channel of float32.

        Args:
            value: what each example is told; one that is black all over is nothing.
            batch: number of examples.
            key: for dropout; None for none.
        """
        *sides, channels = self.field.shape
        if value is None:
            return jnp.zeros((batch, *sides, channels + 1), jnp.float32)
        check_value(self.field.kind, value, (batch, *self.field.shape))
        told = shown((value != 0).any(axis=tuple(range(1, value.ndim))), self.dropout, key)
        found = value.astype(jnp.float32) / 127.5 - 1
        found = jnp.concatenate([found, jnp.ones_like(found[..., :1])], axis=-1)
        return jnp.where(told.reshape(-1, *(1 for _ in self.field.shape)), found, 0)


@dataclasses.dataclass(frozen=True)
class Image(Condition):
    """How a network is shown an image; see Condition for the options."""

    KIND: ClassVar[str] = "image"
    BESIDE: ClassVar[bool] = True

    def embedding(
        self, field: Field, features: int, *, param_dtype: jnp.dtype, rngs: nnx.Rngs
    ) -> Channels:
        """Channels, which have no parameters and no size to choose; see Condition.embedding."""
        self.check(field)
        return Channels(field, dropout=self.dropout)


@dataclasses.dataclass(frozen=True)
class Video(Image):
    """How a network is shown the first frames of a video; see Condition for the options."""

    KIND: ClassVar[str] = "video"
