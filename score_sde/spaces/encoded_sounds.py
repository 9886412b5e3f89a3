"""Latents that an autoencoder made once of a set of sounds; it lies beside them: data.encoded."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar, Self

import jax
import jax.numpy as jnp

from score_sde import fields
from score_sde.autoencoder import Gaussian
from score_sde.checks import present
from score_sde.errors import UserError
from score_sde.fields import Field
from score_sde.models.functional import Maker, abstract
from score_sde.models.sound_autoencoder import SoundAutoencoder
from score_sde.parts import KINDS, Part, Stored
from score_sde.sections import DERIVED
from score_sde.spaces.coded import STATIC
from score_sde.spaces.encoded import OfData
from score_sde.spaces.sound_latents import SoundLatents, padded
from score_sde.values import Count


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class EncodedSounds(OfData, SoundLatents):
    """The states of SoundLatents, of examples that are q(z | signal), or its mean, already.

    Attributes:
        autoencoder: unused: it lies beside the data.
        channels: of the latents.
        rate: samples a second.
    """

    SECTION: ClassVar[str] = "config.space.encoded_sounds"
    MADE_OF: ClassVar[str] = "signal"
    AXES: ClassVar[int] = 2

    rate: Count = dataclasses.field(default=44_100, metadata=STATIC)
    autoencoder: str = dataclasses.field(default="", metadata=DERIVED, kw_only=True)
    channels: int = dataclasses.field(default=64, metadata=DERIVED, kw_only=True)

    @classmethod
    def of(cls, field: Field, **options: Any) -> Self:
        """The space of latents.

        Raises:
            ValueError: they are not of sounds.
        """
        cls._check_axes(field)
        frames, channels = field.shape
        channels //= 2 if field.kind == "gaussian" else 1
        plain = {name: tuple(options[name]) for name in ("scale", "shift")}
        samples = (frames * options["factor"],)
        return cls((frames, channels), samples, channels=channels, **options | plain)

    @classmethod
    def encoder(cls, stored: Stored) -> Callable[[Part, jax.Array], Gaussian]:
        """See OfData; a signal is filled up with silence to whole frames."""
        factor = _factor(stored)

        def posterior(part: Part, examples: jax.Array) -> Gaussian:
            after = -examples.shape[1] % factor
            return Gaussian(*part(padded(examples, after), method="encode"))

        return posterior

    @classmethod
    def options_of(cls, field: Field, latent: Field, stored: Stored) -> dict[str, Any]:
        """See OfData."""
        return {"factor": _factor(stored), "rate": field.rate}

    @property
    def states(self) -> dict[str, Any]:
        """As of SoundLatents, whether they were encoded before or not."""
        return {**super().states, "space": "SoundLatents"}

    def decoded(self, field: Field) -> Field:
        """Signals."""
        state = jax.ShapeDtypeStruct((1, *self.shape), jnp.float32)
        samples, *channels = jax.eval_shape(self.decode, state).shape[1:]
        return fields.signal(samples, self.rate, *channels)

    def _check_part(self) -> None:
        """Raise UserError unless the autoencoder makes signals of such latents."""
        state = jax.ShapeDtypeStruct((1, *self.shape), jnp.float32)
        try:
            found = jax.eval_shape(
                lambda z: present("part", self.part)(z, method="decode"), state
            ).shape[1]
        except (ValueError, TypeError) as error:
            raise UserError(f"the autoencoder beside the data is another: {error}") from error
        if found != self.field_shape[0]:
            raise UserError(
                f"{self.SECTION}.factor={self.factor}: the autoencoder beside the data makes "
                f"{found // self.shape[0]} samples of a frame: give that"
            )


def _factor(stored: Stored) -> int:
    """Samples of a frame of an autoencoder.

    Raises:
        ValueError: it is not of signals.
    """
    if KINDS[stored.kind] is not SoundAutoencoder:
        raise ValueError("it is of images")
    made: Any = abstract(Maker(KINDS[stored.kind], stored.options))
    return int(made.factor)
