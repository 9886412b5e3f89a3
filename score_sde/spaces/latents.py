"""What an autoencoder made of images, as numbers: any height, width and channels."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

import jax
import jax.numpy as jnp
import numpy as np

from score_sde import sections
from score_sde.fields import Field
from score_sde.files import replacing
from score_sde.sections import DERIVED
from score_sde.spaces import pictures
from score_sde.spaces.base import Space
from score_sde.values import Length, Positive


@jax.tree_util.register_static
@dataclasses.dataclass(frozen=True)
class Latents(Space):
    """x = scale * example + bias, channel by channel.

    The examples themselves are what a model draws: they are not decoded to images here.

    Attributes:
        shape: (height, width, channels).
        scale: one number, or one for each channel, that brings examples to about unit variance.
        bias: likewise, to about mean 0.

    Raises:
        ValueError: there are neither one nor as many numbers as channels.
    """

    KINDS: ClassVar[tuple[str, ...]] = ("latent",)

    shape: tuple[int, ...] = dataclasses.field(metadata=DERIVED)
    scale: Annotated[Sequence[Positive], Length(1, 4096)] = (1.0,)
    bias: Annotated[Sequence[float], Length(1, 4096)] = (0.0,)

    def __post_init__(self) -> None:
        sections.check(self, "config.space.latents.")
        for name in ("scale", "bias"):
            if len(getattr(self, name)) not in (1, self.shape[-1]):
                raise ValueError(
                    f"config.space.latents.{name} has {len(getattr(self, name))} numbers: give 1, "
                    f"or one for each of {self.shape[-1]} channels"
                )

    @classmethod
    def of(cls, field: Field, **options: Any) -> Self:
        """The space of a latent."""
        return cls(field.shape, **{name: tuple(value) for name, value in options.items()})

    @property
    def facts(self) -> dict[str, Any]:
        """Networks take the values as they are."""
        return {"centered": True}

    @property
    def states(self) -> dict[str, Any]:
        """Scale and bias."""
        return {"space": "Latents", "scale": list(self.scale), "bias": list(self.bias)}

    def encode(self, examples: jax.Array, key: jax.Array | None = None) -> jax.Array:
        """scale * example + bias; nothing is random."""
        return per_channel(self.scale) * examples + per_channel(self.bias)

    def decode(self, x: jax.Array) -> jax.Array:
        """(x - bias) / scale."""
        return (x - per_channel(self.bias)) / per_channel(self.scale)

    def log_volume(self, examples: jax.Array) -> jax.Array:
        """The sum of log scale, the same for all."""
        each = np.broadcast_to(np.log(self.scale), self.shape[-1:]).sum()
        return jnp.full(len(examples), each * np.prod(self.shape[:-1]), jnp.float32)

    def save(self, folder: Path, names: Sequence[str], examples: np.ndarray) -> None:
        """As .npy."""
        for name, example in zip(names, examples, strict=True):
            with replacing(folder / f"{name}.npy") as file:
                np.save(file, example)

    def corner(self, count: int) -> tuple[int, int]:
        """That of so many examples across and down."""
        height, width = self.shape[:2]
        return pictures.picture_size(height, width, count, count)

    def show(
        self,
        path: Path,
        examples: np.ndarray,
        columns: int | None = None,
        captions: Sequence[str] = (),
    ) -> None:
        """The first channels as colours, side by side, from the least number to the largest."""
        shown = examples[..., :3]
        low, high = shown.min(), shown.max()
        levels = 255 * (shown - low) / max(high - low, np.finfo(np.float32).tiny)
        pictures.save_grid(path, levels.round().astype(np.uint8), columns, captions)


def per_channel(numbers: Sequence[float]) -> jax.Array:
    """One number, or one for each channel, as [1, 1, 1, channels or 1] float32."""
    return jnp.asarray(np.asarray(numbers, np.float32)[None, None, None])
