"""What spaces of latents of an autoencoder share, whatever it encodes (2112.10752)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

import jax
import jax.numpy as jnp
import numpy as np

from score_sde import sections
from score_sde.autoencoder import Gaussian
from score_sde.parts import Part
from score_sde.sections import DERIVED, DERIVED_ARRAY
from score_sde.spaces.base import Space
from score_sde.spaces.standardized import measured
from score_sde.values import Count, Length, Positive
from score_sde.values import Path as PathOf

if TYPE_CHECKING:
    from score_sde.data.base import Source

STATIC = {"static": True}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Coded(Space):
    """x = scale * (z - shift), channel by channel, with z ~ q(z | example) of an autoencoder.

    Attributes:
        autoencoder: of a run that begins, the run of its autoencoder, or one that has it; it is
            kept in the new run's folder from then on.
        channels: of the latents, the last axis of a state.
        scale: one number, or one for each channel, that brings latents to unit variance; empty: one
            over the standard deviation that is measured on training examples.
        shift: likewise, their mean.
        per_channel: whether what is measured is measured for each channel, or of all together.
        sample: whether a latent is drawn from q(z | example) where there is a key, as in training;
            else it is its mean.
        measured: scale and shift as they were measured, by name.
        part: the autoencoder; None where it has not been read.
        SECTION: of a config.

    Raises:
        ValueError: there are neither one nor as many numbers as channels.
    """

    PARTS: ClassVar[tuple[str, ...]] = ("autoencoder",)
    SECTION: ClassVar[str]

    autoencoder: PathOf = dataclasses.field(default="", metadata=STATIC)
    channels: Count = dataclasses.field(default=4, metadata=STATIC)
    scale: Annotated[Sequence[Positive], Length(0, 4096)] = dataclasses.field(
        default=(), metadata=STATIC
    )
    shift: Annotated[Sequence[float], Length(0, 4096)] = dataclasses.field(
        default=(), metadata=STATIC
    )
    per_channel: bool = dataclasses.field(default=False, metadata=STATIC)
    sample: bool = dataclasses.field(default=True, metadata=STATIC)
    measured: tuple[tuple[str, tuple[float, ...]], ...] = dataclasses.field(
        default=(), metadata=DERIVED
    )
    part: Part | None = dataclasses.field(default=None, metadata=DERIVED_ARRAY)

    def __post_init__(self) -> None:
        sections.check(self, f"{self.SECTION}.")
        for name in ("scale", "shift"):
            if len(getattr(self, name)) not in (0, 1, self.channels):
                raise ValueError(
                    f"{self.SECTION}.{name} has {len(getattr(self, name))} numbers: "
                    f"give 1, or one for each of {self.channels} channels, or none to measure them"
                )

    @property
    def facts(self) -> dict[str, Any]:
        """Networks take the values as they are."""
        return {"centered": True}

    @property
    def states(self) -> dict[str, Any]:
        """Scale and shift, and whose latents they are."""
        of = {"autoencoder": self.part.fingerprint} if self.part else {}
        affine = {n: list(v) for n, v in self._affine.items()}
        return {"space": type(self).__name__, **affine, **of}

    def fitted(self, source: Source, name: str) -> Self:
        """With scale and shift measured, if they are not given."""
        self._check_part()
        if not self.arrays():
            return self
        encode = jax.jit(lambda space, examples: space.posterior(examples))
        found = measured(
            source, name, lambda examples: encode(self, examples), self.sample, self.per_channel
        )
        return self.with_arrays({"scale": 1 / found.std, "shift": found.mean})

    def arrays(self) -> dict[str, np.ndarray]:
        """Of scale and shift, those that are measured."""
        known = dict(self.measured)
        usual = {"scale": (1.0,), "shift": (0.0,)}
        count = self.channels if self.per_channel else 1
        return {
            name: np.array(known.get(name, value * count))
            for name, value in usual.items()
            if not getattr(self, name)
        }

    def with_arrays(self, arrays: Mapping[str, Any]) -> Self:
        """With what was measured."""
        found = {name: np.asarray(arrays[name], np.float64) for name in self.arrays()}
        plain = tuple((name, tuple(array.tolist())) for name, array in found.items())
        return dataclasses.replace(self, measured=plain)

    def with_parts(self, parts: Mapping[str, Part]) -> Self:
        """See Space."""
        return dataclasses.replace(self, part=parts["autoencoder"])

    def posterior(self, examples: jax.Array) -> Gaussian:
        """q(z | example), before scale and shift."""
        raise NotImplementedError

    def encode(self, examples: jax.Array, key: jax.Array | None = None) -> jax.Array:
        """The mean of q(z | example), or a draw from it."""
        return self._state(self.posterior(examples), key)

    def _state(self, found: Gaussian, key: jax.Array | None) -> jax.Array:
        z = found.mean if key is None or not self.sample else found.draw(key)
        scale, shift = self._beside(z)
        return scale * (z - shift)

    def _latents(self, x: jax.Array) -> jax.Array:
        """z of states."""
        scale, shift = self._beside(x)
        return x / scale + shift

    def log_volume(self, examples: jax.Array) -> jax.Array:
        """To a density of z, before scale and shift: the sum of log scale, the same for all."""
        each = np.broadcast_to(np.log(self._affine["scale"]), self.shape[-1:]).sum()
        return jnp.full(len(examples), each * np.prod(self.shape[:-1]), jnp.float32)

    @property
    def _affine(self) -> dict[str, Sequence[float]]:
        """Scale and shift, as they are given or measured."""
        arrays = self.arrays()
        return {n: getattr(self, n) or arrays[n].tolist() for n in ("scale", "shift")}

    def _beside(self, latents: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Scale and shift, [1, ..., channels or 1], as many axes as latents have."""
        axes = (*(1 for _ in latents.shape[1:]), -1)
        scale, shift = (
            jnp.asarray(np.asarray(numbers, np.float32).reshape(axes))
            for numbers in self._affine.values()
        )
        return scale, shift

    def _check_part(self) -> None:
        """Raise UserError unless the autoencoder makes such latents of such examples."""
        raise NotImplementedError
