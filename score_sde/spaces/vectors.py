"""Vectors of d numbers, standardised by the mean and the scale of the training data."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import jax
import jax.numpy as jnp
import numpy as np

from score_sde.errors import UserError
from score_sde.fields import Field
from score_sde.sections import DERIVED_ARRAY
from score_sde.spaces import scatter
from score_sde.spaces.base import Space

if TYPE_CHECKING:
    from score_sde.data.base import Source

_AT_ONCE = 1 << 16  # examples that are measured at a time


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Vectors(Space):
    """x = (example - mean) / scale, coordinate by coordinate.

    Attributes:
        mean: of the training data, [d].
        scale: their standard deviation, [d]; 1 where that is 0.
        standardise: whether mean and scale are measured; else they are 0 and 1.
    """

    KINDS: ClassVar[tuple[str, ...]] = ("vector",)
    MOST: ClassVar[int] = 10_000
    FEW: ClassVar[int] = 1000
    OVERLAID: ClassVar[bool] = True

    mean: jax.Array | np.ndarray = dataclasses.field(metadata=DERIVED_ARRAY)
    scale: jax.Array | np.ndarray = dataclasses.field(metadata=DERIVED_ARRAY)
    standardise: bool = dataclasses.field(default=True, metadata={"static": True})

    @classmethod
    def of(cls, field: Field, **options: Any) -> Self:
        """The space of a vector, not yet fitted: mean 0, scale 1."""
        return cls(np.zeros(field.shape, np.float32), np.ones(field.shape, np.float32), **options)

    @property
    def shape(self) -> tuple[int, ...]:  # type: ignore[override]  # read only, as all is
        """(d,)."""
        return self.mean.shape

    def fitted(self, source: Source, name: str) -> Self:
        """With the mean and scale of all examples, in float64.

        Raises:
            UserError: they are not finite.
        """
        if not self.standardise:
            return self
        total, squares = np.zeros(self.shape), np.zeros(self.shape)
        parts = range(0, len(source), _AT_ONCE)
        rows = (np.arange(i, min(i + _AT_ONCE, len(source))) for i in parts)
        shift = source.gather(np.array([0]))[name][0].astype(np.float64)  # no cancellation
        for indices in rows:
            part = source.gather(indices)[name].astype(np.float64) - shift
            total, squares = total + part.sum(0), squares + (part**2).sum(0)
        mean = total / len(source)
        scale = np.sqrt(np.maximum(squares / len(source) - mean**2, 0))
        if not np.isfinite([mean, scale]).all():
            raise UserError(f"{source.info.name}: {name} has values that are not finite")
        scale = np.where(scale > 0, scale, 1)
        if (scale < np.finfo(np.float32).tiny).any():
            raise UserError(
                f"{source.info.name}: {name} varies by less than float32 can tell: rescale it"
            )
        return self.with_arrays({"mean": shift + mean, "scale": scale})

    def arrays(self) -> dict[str, np.ndarray]:
        """Mean and scale."""
        return {"mean": np.asarray(self.mean), "scale": np.asarray(self.scale)}

    def with_arrays(self, arrays: Mapping[str, Any]) -> Self:
        """With this mean and scale, float32."""
        mean, scale = (np.asarray(arrays[name], np.float32) for name in ("mean", "scale"))
        return dataclasses.replace(self, mean=mean, scale=scale)

    def encode(self, examples: jax.Array, key: jax.Array | None = None) -> jax.Array:
        """(example - mean) / scale; nothing is random."""
        return (examples - self.mean[None]) / self.scale[None]

    def decode(self, x: jax.Array) -> jax.Array:
        """mean + scale x."""
        return x * self.scale[None] + self.mean[None]

    def log_volume(self, examples: jax.Array) -> jax.Array:
        """-sum log scale, the same for all."""
        return jnp.full(len(examples), -jnp.sum(jnp.log(self.scale)))

    def save(self, folder: Path, names: Sequence[str], examples: np.ndarray) -> None:
        """As .txt, a number a line."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, example in zip(names, examples, strict=True):
            (folder / f"{name}.txt").write_text("".join(f"{v:.9g}\n" for v in example))

    def show(
        self,
        path: Path,
        examples: np.ndarray,
        columns: int | None = None,
        captions: Sequence[str] = (),
    ) -> None:
        """A scatter plot of the first two coordinates, or a histogram of one."""
        scatter.save(path, examples)
