"""Images as latents of an autoencoder, which is not trained with the model (2112.10752)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

import jax
import jax.numpy as jnp
import numpy as np

from score_sde import keys, sections
from score_sde.fields import Field
from score_sde.parts import Part
from score_sde.sections import DERIVED, DERIVED_ARRAY
from score_sde.spaces import levels, pictures
from score_sde.spaces.base import Space
from score_sde.spaces.latents import per_channel
from score_sde.values import Count, Length, Positive
from score_sde.values import Path as PathOf

STATIC = {"static": True}


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Autoencoded(Space):
    """x = scale * (z - shift), channel by channel, with z ~ q(z | image) of an autoencoder.

    Attributes:
        shape: (height, width, channels) of the latents.
        image: (height, width, channels) of an image.
        levels: distinct values of a pixel.
        autoencoder: of a run that begins, where its file is, see parts; it is kept in the run's
            folder from then on.
        channels: of the latents.
        factor: how many times as long a side of an image is.
        scale: one number, or one for each channel, that brings latents to about unit variance.
        shift: likewise, their mean.
        sample: whether a latent is drawn from q(z | image) where there is a key, as in training;
            else it is its mean.
        part: the autoencoder; None where it has not been read.

    Raises:
        ValueError: a side is no multiple of the factor, or there are neither one nor as many
            numbers as channels.
    """

    KINDS: ClassVar[tuple[str, ...]] = ("image",)
    PARTS: ClassVar[tuple[str, ...]] = ("autoencoder",)
    MOST: ClassVar[int] = 64

    shape: tuple[int, ...] = dataclasses.field(metadata=DERIVED)
    image: tuple[int, ...] = dataclasses.field(metadata=DERIVED)
    levels: int = dataclasses.field(metadata=DERIVED)
    autoencoder: PathOf = dataclasses.field(default="", metadata=STATIC)
    channels: Count = dataclasses.field(default=4, metadata=STATIC)
    factor: Count = dataclasses.field(default=8, metadata=STATIC)
    scale: Annotated[Sequence[Positive], Length(1, 4096)] = dataclasses.field(
        default=(1.0,), metadata=STATIC
    )
    shift: Annotated[Sequence[float], Length(1, 4096)] = dataclasses.field(
        default=(0.0,), metadata=STATIC
    )
    sample: bool = dataclasses.field(default=True, metadata=STATIC)
    part: Part | None = dataclasses.field(default=None, metadata=DERIVED_ARRAY)

    def __post_init__(self):
        sections.check(self, "config.space.autoencoded.")
        for name in ("scale", "shift"):
            if len(getattr(self, name)) not in (1, self.channels):
                raise ValueError(
                    f"config.space.autoencoded.{name} has {len(getattr(self, name))} numbers: "
                    f"give 1, or one for each of {self.channels} channels"
                )

    @classmethod
    def of(cls, field: Field, **options: Any) -> Self:
        """The space of an image."""
        factor, channels = options["factor"], options["channels"]
        if any(side % factor for side in field.shape[:2]):
            raise ValueError(
                f"config.space.autoencoded.factor={factor}: images of {field.shape[0]} x "
                f"{field.shape[1]} pixels need sides that are multiples of it"
            )
        height, width = (side // factor for side in field.shape[:2])
        plain = {name: tuple(options[name]) for name in ("scale", "shift")}
        return cls((height, width, channels), field.shape, field.values, **options | plain)

    @property
    def facts(self) -> dict[str, Any]:
        """Networks take the values as they are."""
        return {"centered": True}

    @property
    def states(self) -> dict[str, Any]:
        """Scale and shift; whose latents they are, the run's weights say."""
        return {"space": "Autoencoded", "scale": list(self.scale), "shift": list(self.shift)}

    def with_parts(self, parts: Mapping[str, Part]) -> Self:
        """See Space."""
        return dataclasses.replace(self, part=parts["autoencoder"])

    def encode(self, examples: jax.Array, key: jax.Array | None = None) -> jax.Array:
        """The mean of q(z | image), or a draw from it."""
        mean, log_variance = self.part(levels.to_model(examples, True), method="encode")
        if key is not None and self.sample:
            mean = mean + jnp.exp(0.5 * log_variance) * keys.normal(key, mean.shape, mean.dtype)
        return per_channel(self.scale) * (mean - per_channel(self.shift))

    def decode(self, x: jax.Array) -> jax.Array:
        """uint8 images; see `images`."""
        return levels.from_model(self.images(x), True, self.levels, False)

    def images(self, x: jax.Array) -> jax.Array:
        """The images that states stand for, about in [-1, 1], float [batch, height, width, c]."""
        z = x / per_channel(self.scale) + per_channel(self.shift)
        return self.part(z, method="decode")

    def neutral(self, examples: jax.Array) -> jax.Array:
        """The states of gray images; [batch, *shape]."""
        return self.encode(jnp.full_like(examples, 128))

    def save(self, folder: Path, start: int, examples: np.ndarray) -> None:
        """As 000000.png and so on."""
        for number, image in enumerate(examples, start):
            pictures.save_png(folder / f"{number:06d}.png", image)

    def corner(self, count: int) -> tuple[int, int]:
        """That of so many images across and down."""
        return pictures.picture_size(*self.image[:2], count, count)

    def show(self, path: Path, examples: np.ndarray, columns: int | None = None) -> None:
        """Side by side; small images are enlarged."""
        pictures.save_grid(path, examples, columns)
