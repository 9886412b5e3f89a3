r"""Signals as the logarithms of their mel bands, which every network of images takes.

    x = (log max(|STFT(signal)| F, floor) - mean) / scale,                                     (1)

with F a bank of mel bands (score_sde/sound/mel.py), mean that of each band and scale the standard
deviation from it over the training data. `decode` looks for non-negative magnitudes of the bands
and then for phases (score_sde/sound/griffin_lim.py): a signal whose bands are nearly these. What a
band does not tell, a phase or where in it a frequency lies, is lost.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

import jax
import jax.numpy as jnp
import numpy as np

from score_sde import sections
from score_sde.errors import UserError
from score_sde.fields import Field
from score_sde.sections import DERIVED, DERIVED_ARRAY
from score_sde.sound import mel
from score_sde.sound.griffin_lim import griffin_lim
from score_sde.sound.stft import STFT
from score_sde.spaces.signal import Signal, by_channel
from score_sde.values import Count, Every, Positive, between, one_of

if TYPE_CHECKING:
    from score_sde.data.base import Source

_STATIC = {"static": True}
_AT_ONCE = 64  # examples that are measured at a time


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class LogMel(Signal):
    """Equation (1).

    Attributes:
        shape: (frames, bands, channels).
        field_shape: of a signal, (samples,) or (samples, channels).
        rate: samples a second.
        mean: of each band, [bands].
        deviation: scale, [].
        frame: samples of a frame, a multiple of 2 hops.
        hop: samples from one frame to the next.
        bands: mel bands.
        low: where the lowest begins, Hz.
        high: where the highest ends, Hz; 0 for half of the rate.
        scale: of mel, one of sound.mel.SCALES.
        floor: of the magnitude of a band, which is silence.
        multiple: what the number of frames is a multiple of; silence is put after a signal.
        inverse_steps: by which `decode` looks for magnitudes.
        phase_steps: by which it looks for phases.
        momentum: of these; 0 for the iteration of Griffin and Lim.

    Raises:
        ValueError: the frames or the bands cannot be.
    """

    DENSITY: ClassVar[str] = "log-mel spectra, not signals"

    shape: tuple[int, ...] = dataclasses.field(metadata=DERIVED)
    field_shape: tuple[int, ...] = dataclasses.field(metadata=DERIVED)
    rate: int = dataclasses.field(metadata=DERIVED)
    mean: jax.Array | np.ndarray = dataclasses.field(metadata=DERIVED_ARRAY)
    deviation: jax.Array | np.ndarray = dataclasses.field(metadata=DERIVED_ARRAY)
    frame: Annotated[int, between(2, 2**16)] = dataclasses.field(default=1024, metadata=_STATIC)
    hop: Annotated[int, between(1, 2**15)] = dataclasses.field(default=256, metadata=_STATIC)
    bands: Annotated[int, between(1, 4096)] = dataclasses.field(default=64, metadata=_STATIC)
    low: Annotated[float, between(0, 1e6)] = dataclasses.field(default=0.0, metadata=_STATIC)
    high: Annotated[float, between(0, 1e6)] = dataclasses.field(default=0.0, metadata=_STATIC)
    scale: Annotated[str, one_of(mel.SCALES)] = dataclasses.field(default="htk", metadata=_STATIC)
    floor: Positive = dataclasses.field(default=1e-4, metadata=_STATIC)
    multiple: Count = dataclasses.field(default=8, metadata=_STATIC)
    inverse_steps: Every = dataclasses.field(default=100, metadata=_STATIC)
    phase_steps: Count = dataclasses.field(default=40, metadata=_STATIC)
    momentum: Annotated[float, between(0, 1)] = dataclasses.field(default=0.99, metadata=_STATIC)

    @classmethod
    def of(cls, field: Field, **options: Any) -> Self:
        """The space of a signal, not yet fitted: mean 0, scale 1."""
        bands = options["bands"]
        try:
            frames = STFT(options["frame"], options["hop"]).frames(field.shape[0])
            frames = -(-frames // options["multiple"]) * options["multiple"]
            shape = (frames, bands, *(field.shape[1:] or (1,)))
            mean, deviation = np.zeros(bands, np.float32), np.ones((), np.float32)
            space = cls(shape, field.shape, field.rate, mean, deviation, **options)
            sections.check(space, "config.space.log_mel.")
            space._bank()
        except ValueError as error:
            raise ValueError(f"config.space.log_mel: {error}") from error
        return space

    @property
    def facts(self) -> dict[str, Any]:
        """Networks take the values as they are."""
        return {"centered": True}

    @property
    def states(self) -> dict[str, Any]:
        """The transform, and what was measured."""
        names = ("frame", "hop", "bands", "low", "high", "scale", "floor", "multiple")
        return super().states | {name: getattr(self, name) for name in names}

    @property
    def protocol(self) -> dict[str, Any]:
        """The inverse too."""
        names = ("inverse_steps", "phase_steps", "momentum")
        return self.states | {name: getattr(self, name) for name in names}

    def fitted(self, source: Source, name: str) -> Self:
        """With the mean of each band and the deviation from it of all examples, in float64.

        Raises:
            UserError: they are not finite, or all the same.
        """
        logs = jax.jit(lambda space, signals: space.logs(signals))
        total, squares = np.zeros(self.bands), np.zeros(self.bands)
        for start in range(0, len(source), _AT_ONCE):
            rows = np.arange(start, start + _AT_ONCE)  # so many each time, compiled once
            batch = source.gather(np.minimum(rows, len(source) - 1))[name]
            found = np.asarray(logs(self, batch), np.float64)[: len(source) - start]
            total += found.sum((0, 1, 3))
            squares += (found**2).sum((0, 1, 3))
        count = len(source) * self.shape[0] * self.shape[2]
        mean = total / count
        deviation = np.sqrt(np.maximum(squares / count - mean**2, 0).mean())
        if not np.isfinite(deviation) or deviation < 1e-4:
            raise UserError(f"{source.info.name}: {name} is silent, or has values without end")
        return self.with_arrays({"mean": mean, "deviation": deviation})

    def arrays(self) -> dict[str, np.ndarray]:
        """Mean and deviation."""
        return {"mean": np.asarray(self.mean), "deviation": np.asarray(self.deviation)}

    def with_arrays(self, arrays: Mapping[str, Any]) -> Self:
        """With this mean and deviation, float32."""
        mean, deviation = (np.asarray(arrays[n], np.float32) for n in ("mean", "deviation"))
        return dataclasses.replace(self, mean=mean, deviation=deviation)

    def encode(self, examples: jax.Array, key: jax.Array | None = None) -> jax.Array:
        """Equation (1), [batch, *shape]; nothing is random."""
        return (self.logs(examples) - self._by_band) / self.deviation

    def decode(self, x: jax.Array) -> jax.Array:
        """Signals whose bands are nearly those of x, [batch, *field_shape]."""
        logs = jnp.moveaxis(x * self.deviation + self._by_band, 3, 1)
        bank = jnp.asarray(self._bank(), x.dtype)
        bands = jnp.where(logs > np.log(self.floor), jnp.exp(logs), 0)
        magnitudes = mel.magnitudes(bank, bands, self.inverse_steps)
        found = griffin_lim(
            self._stft,
            magnitudes,
            self._samples,
            steps=self.phase_steps,
            momentum=self.momentum,
        )
        found = jnp.moveaxis(found[..., : self.field_shape[0]], 1, 2)
        return found.reshape(len(x), *self.field_shape)

    def log_volume(self, examples: jax.Array) -> jax.Array:
        """Of the logarithms of bands, -log scale each, the same for all."""
        return jnp.full(len(examples), -np.prod(self.shape) * jnp.log(self.deviation))

    def logs(self, examples: jax.Array) -> jax.Array:
        """Logarithms of bands, [batch, *shape], of examples, [batch, *field_shape]."""
        signals = by_channel(examples)
        after = self._samples - signals.shape[-1]
        spectra = self._stft(jnp.pad(signals, [(0, 0), (0, 0), (0, after)]))
        bands = jnp.abs(spectra) @ jnp.asarray(self._bank(), signals.dtype)
        return jnp.moveaxis(jnp.log(jnp.maximum(bands, self.floor)), 1, 3)

    @property
    def _stft(self) -> STFT:
        return STFT(self.frame, self.hop)

    @property
    def _samples(self) -> int:
        """Of a signal with the silence after it."""
        return (self.shape[0] - 1) * self.hop

    @property
    def _by_band(self) -> jax.Array:
        return jnp.asarray(self.mean).reshape(1, 1, -1, 1)

    def _bank(self) -> np.ndarray:
        high = self.high or None
        return mel.filters(self.rate, self.frame, self.bands, self.low, high, self.scale)
