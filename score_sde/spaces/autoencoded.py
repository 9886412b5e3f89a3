"""Images as latents of an autoencoder, which is not trained with the model (2112.10752)."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, ClassVar, Self

import jax
import jax.numpy as jnp

from score_sde.autoencoder import Gaussian
from score_sde.checks import present
from score_sde.errors import UserError
from score_sde.fields import Field
from score_sde.sections import DERIVED
from score_sde.spaces import levels
from score_sde.spaces.coded import STATIC, Coded
from score_sde.spaces.image import Image
from score_sde.spaces.tiles import tiled
from score_sde.values import Count


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Autoencoded(Image, Coded):
    """x = scale * (z - shift), channel by channel, with z ~ q(z | image) of an autoencoder.

    Attributes:
        shape: (height, width, channels) of the latents.
        image: (height, width, channels) of an image.
        levels: distinct values of a pixel.
        factor: how many times as long a side of an image is.
        tile: side of the tiles, in latents, in which larger states are decoded, see tiles; 0 for at
            once.

    Raises:
        ValueError: a side is no multiple of the factor, or there are neither one nor as many
            numbers as channels.
    """

    MOST: ClassVar[int] = 64
    DENSITY: ClassVar[str] = "latents of the autoencoder, not images"
    SECTION: ClassVar[str] = "config.space.autoencoded"

    shape: tuple[int, ...] = dataclasses.field(metadata=DERIVED)
    image: tuple[int, ...] = dataclasses.field(metadata=DERIVED)
    levels: int = dataclasses.field(metadata=DERIVED)
    factor: Count = dataclasses.field(default=8, metadata=STATIC)
    tile: int = dataclasses.field(default=0, metadata=DERIVED)

    @classmethod
    def of(cls, field: Field, **options: Any) -> Self:
        """The space of an image."""
        factor, channels = options["factor"], options["channels"]
        if any(side % factor for side in field.shape[:2]):
            raise ValueError(
                f"{cls.SECTION}.factor={factor}: images of {field.shape[0]} x "
                f"{field.shape[1]} pixels need sides that are multiples of it"
            )
        height, width = (side // factor for side in field.shape[:2])
        plain = {name: tuple(options[name]) for name in ("scale", "shift")}
        return cls((height, width, channels), field.shape, field.values, **options | plain)

    @property
    def states(self) -> dict[str, Any]:
        """As of Coded, whether they were encoded before or not."""
        return {**super().states, "space": "Autoencoded"}

    @property
    def decoding(self) -> dict[str, Any]:
        """The side of tiles, if states are larger."""
        return {"tile": self.tile} if 0 < self.tile < max(self.shape[-3:-1]) else {}

    def tiled(self, side: int) -> Self:
        """See Space."""
        return dataclasses.replace(self, tile=side)

    def posterior(self, examples: jax.Array) -> Gaussian:
        """q(z | image), before scale and shift."""
        return Gaussian(
            *present("part", self.part)(levels.to_model(examples, True), method="encode")
        )

    def of_images(self, images: jax.Array, key: jax.Array | None = None) -> jax.Array:
        """As `encode` of images in [-1, 1], float [batch, height, width, c] of any size.

        Args:
            images: [batch, height, width, c].
            key: of the draw from q(z | x); None for its mean.

        Returns:
            States, [batch, *shape] for images of the space's size.
        """
        return self._state(Gaussian(*present("part", self.part)(images, method="encode")), key)

    def decode(self, x: jax.Array) -> jax.Array:
        """uint8 images; see `images`."""
        return levels.from_model(self.images(x), True, self.levels, False)

    def images(self, x: jax.Array) -> jax.Array:
        """The images that states x stand for, about in [-1, 1], float [batch, height, width, c]."""
        z, decode = self._latents(x), functools.partial(present("part", self.part), method="decode")
        return tiled(decode, z, self.tile, self.factor) if self.tile else decode(z)

    def _check_part(self) -> None:
        """Raise UserError unless the autoencoder makes such latents of such images."""
        prefix = self.SECTION
        try:
            image = jax.ShapeDtypeStruct((1, *self.image), jnp.uint8)
            found = jax.eval_shape(self.posterior, image).mean.shape[1:]
        except ValueError as error:
            raise UserError(f"{prefix}.autoencoder: {error}") from error
        if found != self.shape[-3:]:
            factor = self.image[0] // found[0]
            raise UserError(
                f"{prefix}: its autoencoder makes latents of {'x'.join(map(str, found))}: give "
                f"--{prefix}.channels={found[-1]} --{prefix}.factor={factor}"
            )
