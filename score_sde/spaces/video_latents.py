"""Videos as latents of an autoencoder of images, frame by frame (2304.08818, Section 3.1).

The autoencoder knows nothing of time: what a model of its latents draws is decoded a frame at a
time too, in the memory of one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import jax
import jax.numpy as jnp
import numpy as np

from score_sde import fields, keys
from score_sde.autoencoder import Gaussian
from score_sde.fields import Field
from score_sde.spaces.autoencoded import Autoencoded
from score_sde.spaces.video import Video


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class VideoLatents(Autoencoded):
    """x = scale * (z - shift) of each frame; see Autoencoded for the options.

    Attributes:
        shape: (frames, height, width, channels) of the latents.
        image: (height, width, channels) of a frame.
    """

    KINDS: ClassVar[tuple[str, ...]] = ("video",)
    IMAGES: ClassVar[bool] = False
    MOVES: ClassVar[bool] = Video.MOVES
    MOST: ClassVar[int] = Video.MOST
    FEW: ClassVar[int] = Video.FEW
    REGIONS: ClassVar[Mapping[str, tuple[slice, ...]]] = {}
    DENSITY: ClassVar[str] = "latents of the autoencoder, not videos"
    SECTION: ClassVar[str] = "config.space.video_latents"

    @classmethod
    def of(cls, field: Field, **options: Any) -> Self:
        """The space of a video."""
        frames, height, width, channels = field.shape
        image = height, width, channels
        found = super().of(fields.image(image, field.values, field.name), **options)
        return dataclasses.replace(found, shape=(frames, *found.shape))

    @property
    def states(self) -> dict[str, Any]:
        """As of a frame."""
        return super().states | {"space": "VideoLatents"}

    def posterior(self, examples: jax.Array) -> Gaussian:
        """q(z | frame) of all frames, one after the other, before scale and shift."""
        return super().posterior(examples.reshape(-1, *examples.shape[-3:]))

    def encode(self, examples: jax.Array, key: jax.Array | None = None) -> jax.Array:
        """The mean of q(z | frame), or a draw from it, of each frame; [batch, *shape]."""
        if key is not None and keys.is_vector(key):
            key = jax.vmap(lambda one: jax.random.split(one, self.shape[0]))(key).reshape(-1)
        return super().encode(examples, key).reshape(-1, *self.shape)

    def images(self, x: jax.Array) -> jax.Array:
        """The videos that states stand for, about in [-1, 1], float [batch, frames, h, w, c]."""
        frames = x.reshape(-1, 1, *x.shape[2:])
        found = jax.lax.map(super().images, frames)
        videos: jax.Array = found.reshape(*x.shape[:2], *found.shape[2:])
        return videos

    def neutral(self, examples: jax.Array) -> jax.Array:
        """The states of gray videos; [batch, *shape]."""
        return self.encode(jnp.full_like(examples, 128))

    def corner(self, count: int) -> None:  # type: ignore[override]  # as Space allows
        """See Space; they are strips."""
        return

    def save(self, folder: Path, names: Sequence[str], examples: np.ndarray) -> None:
        """See Video."""
        self._pixels(examples).save(folder, names, examples)

    def show(
        self,
        path: Path,
        examples: np.ndarray,
        columns: int | None = None,
        captions: Sequence[str] = (),
    ) -> None:
        """See Video."""
        self._pixels(examples).show(path, examples, columns, captions)

    def _pixels(self, examples: np.ndarray) -> Video:
        """The space of what is decoded."""
        return Video(examples.shape[1:], self.levels)
