"""Signals as they are: a state is a waveform, of unit variance over the training data."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

import jax
import jax.numpy as jnp
import numpy as np

from score_sde.errors import UserError
from score_sde.fields import Field
from score_sde.sections import DERIVED, DERIVED_ARRAY
from score_sde.spaces.signal import Signal

if TYPE_CHECKING:
    from score_sde.data.base import Source

_STATIC = {"static": True}
_AT_ONCE = 2**22  # samples that are measured at a time


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Waveforms(Signal):
    """x = signal / scale, or the signal as it is.

    Attributes:
        shape: of an example, (samples,) or (samples, channels).
        rate: samples a second.
        scale: the root mean square of the training data, [].
        unit: whether it is measured; else it is 1, as networks that are to hear any signal have it.
    """

    shape: tuple[int, ...] = dataclasses.field(metadata=DERIVED)
    rate: int = dataclasses.field(metadata=DERIVED)
    scale: jax.Array | np.ndarray = dataclasses.field(metadata=DERIVED_ARRAY)
    unit: bool = dataclasses.field(default=True, metadata=_STATIC)

    @classmethod
    def of(cls, field: Field, **options: Any) -> Self:
        """The space of a signal, not yet fitted: scale 1."""
        return cls(field.shape, field.rate, np.ones((), np.float32), **options)

    @property
    def field_shape(self) -> tuple[int, ...]:  # type: ignore[override]  # read only, as all is
        """That of a state."""
        return self.shape

    def fitted(self, source: Source, name: str) -> Self:
        """With the root mean square of all examples, in float64, if it is to be measured.

        Raises:
            UserError: they are silent, or not finite.
        """
        if not self.unit:
            return self
        step = max(1, _AT_ONCE // int(np.prod(self.shape)))
        squares = 0.0
        for start in range(0, len(source), step):
            rows = np.arange(start, min(start + step, len(source)))
            squares += (source.gather(rows)[name].astype(np.float64) ** 2).sum()
        scale = np.sqrt(squares / (len(source) * np.prod(self.shape)))
        if not np.isfinite(scale) or scale < np.finfo(np.float32).tiny:
            raise UserError(f"{source.info.name}: {name} is silent, or has values without end")
        return self.with_arrays({"scale": scale})

    def arrays(self) -> dict[str, np.ndarray]:
        """The scale."""
        return {"scale": np.asarray(self.scale)}

    def with_arrays(self, arrays: Mapping[str, Any]) -> Self:
        """With this scale, float32."""
        return dataclasses.replace(self, scale=np.asarray(arrays["scale"], np.float32))

    def encode(self, examples: jax.Array, key: jax.Array | None = None) -> jax.Array:
        """Signal / scale; nothing is random."""
        return examples / self.scale

    def decode(self, x: jax.Array) -> jax.Array:
        """Scale x."""
        return x * self.scale

    def log_volume(self, examples: jax.Array) -> jax.Array:
        """-log scale of each sample, the same for all."""
        return jnp.full(len(examples), -np.prod(self.shape) * jnp.log(self.scale))
