"""Latents that an autoencoder made once of a data set, and which it lies with: data.encoded."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Self

import jax
import jax.numpy as jnp

from score_sde import fields
from score_sde.autoencoder import Gaussian
from score_sde.errors import UserError
from score_sde.fields import Field
from score_sde.parts import Part, Stored
from score_sde.sections import DERIVED
from score_sde.spaces import levels
from score_sde.spaces.autoencoded import Autoencoded
from score_sde.spaces.coded import STATIC, Coded
from score_sde.values import between


class OfData(Coded):
    """What spaces of latents share whose autoencoder lies beside the data.

    Attributes:
        MADE_OF: the kind of fields that `score_sde.data encode` makes such latents of.
        AXES: of one such latent.
    """

    KINDS: ClassVar[tuple[str, ...]] = ("latent", "gaussian")
    OF_DATA: ClassVar[bool] = True
    MADE_OF: ClassVar[str]
    AXES: ClassVar[int]

    @classmethod
    def _check_axes(cls, field: Field) -> None:
        """Raise ValueError if latents are of another kind of examples."""
        if len(field.shape) != cls.AXES:
            raise ValueError(
                f"{cls.SECTION}: {field.words} is not of a {cls.MADE_OF}: give space.name=encoded "
                "for latents of images, encoded_sounds of sounds, encoded_videos of videos"
            )

    @classmethod
    def encoder(cls, stored: Stored) -> Callable[[Part, jax.Array], Gaussian]:
        """For an autoencoder what gives, of it and examples, q(z | example).

        Args:
            stored: the autoencoder, as the data has it beside its latents.

        Raises:
            ValueError: it is of other examples.
        """
        raise NotImplementedError

    @classmethod
    def options_of(cls, field: Field, latent: Field, stored: Stored) -> dict[str, Any]:
        """The options of the space of latents that an autoencoder made of a field.

        Args:
            field: of the examples.
            latent: of what it made of them.
            stored: the autoencoder.
        """
        raise NotImplementedError

    def posterior(self, examples: jax.Array) -> Gaussian:
        """q(z | example); of a mean alone it is no wider than that."""
        mean, std = examples[..., : self.channels], examples[..., self.channels :]
        if not std.size:
            std = jnp.zeros_like(mean)
        return Gaussian(mean, 2 * jnp.log(std))

    def viewed(self, examples: jax.Array) -> jax.Array:
        """What the autoencoder makes of them: reconstructions."""
        seen: jax.Array = jax.jit(lambda space, x: space.decode(space.encode(x)))(self, examples)
        return seen

    def neutral(self, examples: jax.Array) -> jax.Array:
        """Zero, the mean of all states."""
        return jnp.zeros((len(examples), *self.shape), jnp.float32)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Encoded(OfData, Autoencoded):
    """The states of Autoencoded, of examples that are q(z | image), or its mean, already.

    Attributes:
        autoencoder: unused: it lies beside the data.
        channels: of the latents.
        levels: distinct values of a pixel of the images.
    """

    SECTION: ClassVar[str] = "config.space.encoded"
    MADE_OF: ClassVar[str] = "image"
    AXES: ClassVar[int] = 3

    levels: Annotated[int, between(2, 2**16)] = dataclasses.field(default=256, metadata=STATIC)
    autoencoder: str = dataclasses.field(default="", metadata=DERIVED, kw_only=True)
    channels: int = dataclasses.field(default=4, metadata=DERIVED, kw_only=True)

    @classmethod
    def of(cls, field: Field, **options: Any) -> Self:
        """The space of latents.

        Raises:
            ValueError: they are not of images.
        """
        cls._check_axes(field)
        return cls._of_shape(field.shape, field.kind, **options)

    @classmethod
    def _of_shape(cls, shape: tuple[int, ...], kind: str, **options: Any) -> Self:
        """The space of latents of images, of this shape and kind of field."""
        height, width, channels = shape
        channels //= 2 if kind == "gaussian" else 1
        image = (height * options["factor"], width * options["factor"])
        plain = {name: tuple(options[name]) for name in ("scale", "shift")}
        return cls((height, width, channels), image, channels=channels, **options | plain)

    @classmethod
    def encoder(cls, stored: Stored) -> Callable[[Part, jax.Array], Gaussian]:
        """See OfData."""

        def posterior(part: Part, examples: jax.Array) -> Gaussian:
            return Gaussian(*part(levels.to_model(examples, True), method="encode"))

        return posterior

    @classmethod
    def options_of(cls, field: Field, latent: Field, stored: Stored) -> dict[str, Any]:
        """See OfData."""
        found = {"factor": field.shape[-3] // latent.shape[-3]}
        return found | ({} if field.values == cls.levels else {"levels": field.values})

    def decoded(self, field: Field) -> Field:
        """Images."""
        state = jax.ShapeDtypeStruct((1, *self.shape), jnp.float32)
        return fields.image(jax.eval_shape(self.decode, state).shape[1:], self.levels)

    def _check_part(self) -> None:
        """Raise UserError unless the autoencoder makes images of such latents."""
        try:
            found = jax.eval_shape(
                self.decode, jax.ShapeDtypeStruct((1, *self.shape), jnp.float32)
            ).shape[-3:]
        except ValueError as error:
            raise UserError(f"the autoencoder beside the data is another: {error}") from error
        if found[:2] != self.image:
            raise UserError(
                f"{self.SECTION}.factor={self.factor}: the autoencoder beside the data makes "
                f"images {found[0] // self.shape[-3]} times as large as latents: give that"
            )
