"""Signals as latents of an autoencoder, which is not trained with the model."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, Self

import jax
import jax.numpy as jnp

from score_sde.autoencoder import Gaussian
from score_sde.checks import present
from score_sde.errors import UserError
from score_sde.fields import Field
from score_sde.sections import DERIVED
from score_sde.spaces.coded import STATIC, Coded
from score_sde.spaces.signal import Signal
from score_sde.values import Count


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class SoundLatents(Coded, Signal):
    """x = scale * (z - shift), channel by channel, with z ~ q(z | signal) of an autoencoder.

    Attributes:
        shape: (frames, channels) of the latents; silence is put after a signal that ends in one.
        field_shape: of a signal, (samples,) or (samples, channels).
        rate: samples a second.
        channels: of the latents.
        factor: samples of a frame.
    """

    DENSITY: ClassVar[str] = "latents of the autoencoder, not signals"
    SECTION: ClassVar[str] = "config.space.sound_latents"

    shape: tuple[int, ...] = dataclasses.field(metadata=DERIVED)
    field_shape: tuple[int, ...] = dataclasses.field(metadata=DERIVED)
    rate: int = dataclasses.field(metadata=DERIVED)
    channels: Count = dataclasses.field(default=64, metadata=STATIC, kw_only=True)
    factor: Count = dataclasses.field(default=2048, metadata=STATIC)

    @classmethod
    def of(cls, field: Field, **options: Any) -> Self:
        """The space of a signal."""
        frames = -(-field.shape[0] // options["factor"])
        plain = {name: tuple(options[name]) for name in ("scale", "shift")}
        return cls((frames, options["channels"]), field.shape, field.rate, **options | plain)

    @property
    def facts(self) -> dict[str, Any]:
        """Networks take the values as they are, and all frames are there."""
        return {**super().facts, "size_condition": ""}

    def posterior(self, examples: jax.Array) -> Gaussian:
        """q(z | signal), before scale and shift."""
        after = self.shape[0] * self.factor - examples.shape[1]
        return Gaussian(*present("part", self.part)(padded(examples, after), method="encode"))

    def decode(self, x: jax.Array) -> jax.Array:
        """Signals, [batch, *field_shape]."""
        signals: jax.Array = present("part", self.part)(self._latents(x), method="decode")
        return signals[:, : self.field_shape[0]]

    def neutral(self, examples: jax.Array) -> jax.Array:
        """The states of silence; [batch, *shape]."""
        return self.encode(jnp.zeros_like(examples))

    def _check_part(self) -> None:
        """Raise UserError unless the autoencoder makes such latents of such signals."""
        try:
            signal = jax.ShapeDtypeStruct((1, *self.field_shape), jnp.float32)
            found = jax.eval_shape(self.posterior, signal).mean.shape[1:]
        except ValueError as error:
            raise UserError(f"{self.SECTION}.autoencoder: {error}") from error
        if found != self.shape:
            samples = self.shape[0] * self.factor
            raise UserError(
                f"{self.SECTION}: its autoencoder makes latents of {'x'.join(map(str, found))}: "
                f"give --{self.SECTION}.channels={found[-1]} "
                f"--{self.SECTION}.factor={samples // found[0]}"
            )


def padded(signals: jax.Array, after: int) -> jax.Array:
    """Signals with so many samples of silence after them."""
    return jnp.pad(signals, [(0, 0), (0, after), *[(0, 0)] * (signals.ndim - 2)])
