"""Latents of videos that an autoencoder of images made once, frame by frame: data.encoded."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar, Self

import jax
import jax.numpy as jnp

from score_sde import fields
from score_sde.autoencoder import Gaussian
from score_sde.fields import Field
from score_sde.parts import Part, Stored
from score_sde.spaces.encoded import Encoded
from score_sde.spaces.video_latents import VideoLatents


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class EncodedVideos(Encoded, VideoLatents):
    """The states of VideoLatents, of examples that are q(z | frame), or its mean, already."""

    SECTION: ClassVar[str] = "config.space.encoded_videos"
    MADE_OF: ClassVar[str] = "video"
    AXES: ClassVar[int] = 4

    @classmethod
    def of(cls, field: Field, **options: Any) -> Self:
        """The space of latents.

        Raises:
            ValueError: they are not of videos.
        """
        cls._check_axes(field)
        found = cls._of_shape(field.shape[1:], field.kind, **options)
        return dataclasses.replace(found, shape=(field.shape[0], *found.shape))

    @classmethod
    def encoder(cls, stored: Stored) -> Callable[[Part, jax.Array], Gaussian]:
        """See OfData; of all frames, one after the other."""
        of_frames = super().encoder(stored)

        def posterior(part: Part, examples: jax.Array) -> Gaussian:
            found = of_frames(part, examples.reshape(-1, *examples.shape[2:]))
            return Gaussian(*(a.reshape(*examples.shape[:2], *a.shape[1:]) for a in found))

        return posterior

    def posterior(self, examples: jax.Array) -> Gaussian:
        """q(z | frame) of all frames, one after the other, as of VideoLatents."""
        return super().posterior(examples.reshape(-1, *examples.shape[-3:]))

    def decoded(self, field: Field) -> Field:
        """Videos."""
        state = jax.ShapeDtypeStruct((1, *self.shape), jnp.float32)
        return fields.video(jax.eval_shape(self.decode, state).shape[1:], self.levels)
