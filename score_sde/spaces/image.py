"""Images: what all of their spaces share, how they are written and shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from score_sde.spaces import pictures
from score_sde.spaces.base import Space


class Image(Space):
    """A space of images that decodes to them, uint8.

    Attributes:
        image: (height, width, channels) of an image.
    """

    KINDS: ClassVar[tuple[str, ...]] = ("image",)
    IMAGES: ClassVar[bool] = True
    REGIONS: ClassVar[Mapping[str, tuple[slice, ...]]] = {
        "left": (slice(0, 8), slice(0, 4)),
        "right": (slice(0, 8), slice(4, 8)),
        "top": (slice(0, 4), slice(0, 8)),
        "bottom": (slice(4, 8), slice(0, 8)),
        "center": (slice(2, 6), slice(2, 6)),
    }
    image: tuple[int, ...]

    def neutral(self, examples: jax.Array) -> jax.Array:
        """The states of gray images, for what is not known of examples; [batch, *shape]."""
        return self.encode(jnp.full_like(examples, 128))

    def save(self, folder: Path, names: Sequence[str], examples: np.ndarray) -> None:
        """As .png."""
        for name, image in zip(names, examples, strict=True):
            pictures.save_png(folder / f"{name}.png", image)

    def corner(self, count: int) -> tuple[int, int]:
        """That of so many images across and down."""
        return pictures.picture_size(*self.image[:2], count, count)

    def show(
        self,
        path: Path,
        examples: np.ndarray,
        columns: int | None = None,
        captions: Sequence[str] = (),
    ) -> None:
        """Side by side; small images are enlarged."""
        pictures.save_grid(path, examples, columns, captions)
