"""Videos as pixels: images with time as one more axis."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

import jax
import jax.numpy as jnp
import numpy as np

from score_sde import sections
from score_sde.fields import Field
from score_sde.sections import DERIVED
from score_sde.spaces import augmentation, pictures
from score_sde.spaces.augmentation import TRANSFORMS
from score_sde.spaces.base import Space
from score_sde.spaces.dequantization import Lattice
from score_sde.spaces.pixels import Pixels
from score_sde.values import between, one_of

_ALL = slice(0, 8)


@jax.tree_util.register_static
@dataclasses.dataclass(frozen=True)
class Video(Space):
    """uint8 videos; states are float32, [frames, height, width, channels] each.

    What a pixel becomes is as of an image. What changes an image at random in training changes all
    frames of a video alike. To continue a video and to fill between its frames are inpainting: of
    REGIONS "future" leaves the first quarter of the frames known, "past" the last, and "between"
    the first and the last eighth; the others are those of an image, in every frame.

    Attributes:
        shape: (frames, height, width, channels).
        levels: distinct values of a pixel.
        centered: whether states are in [-1, 1]; else they are in [0, 1].
        flip: mirror videos left to right, at random, in training.
        dequantize: add uniform noise to the levels, for which `decode` has intervals, not points.
        augmentations: transforms of videos in training that the network is told of, names in
            spaces.augmentation.TRANSFORMS.
        augmentation_probability: of each, but for xflip, which is applied to half of the videos.

    Raises:
        ValueError: there is no such transform, or it is of other colours.
    """

    KINDS: ClassVar[tuple[str, ...]] = ("video",)
    MOVES: ClassVar[bool] = True
    MOST: ClassVar[int] = 16
    FEW: ClassVar[int] = 8
    REGIONS: ClassVar[Mapping[str, tuple[slice, ...]]] = {
        "future": (slice(2, 8),),
        "past": (slice(0, 6),),
        "between": (slice(1, 7),),
        **{name: (_ALL, *sides) for name, sides in Pixels.REGIONS.items()},
    }

    shape: tuple[int, ...] = dataclasses.field(metadata=DERIVED)
    levels: int = dataclasses.field(metadata=DERIVED)
    centered: bool = True
    flip: bool = False
    dequantize: bool = False
    augmentations: tuple[Annotated[str, one_of(TRANSFORMS)], ...] = ()
    augmentation_probability: Annotated[float, between(0, 1)] = 0.12

    def __post_init__(self) -> None:
        sections.check(self)
        _ = self.frame  # which says what cannot be

    @classmethod
    def of(cls, field: Field, **options: Any) -> Self:
        """The space of a video."""
        return cls(field.shape, field.values, **options)

    @property
    def frame(self) -> Pixels:
        """The space of a frame, with the same options."""
        options = {name: getattr(self, name) for name in sections.entries(Pixels)}
        return Pixels(self.shape[1:], self.levels, **options)

    @property
    def facts(self) -> dict[str, Any]:
        """As of a frame."""
        return self.frame.facts

    @property
    def lattice(self) -> Lattice:
        """Where the levels lie."""
        return self.frame.lattice

    @property
    def values(self) -> tuple[float, ...] | None:
        """As of a frame."""
        return self.frame.values

    @property
    def states(self) -> dict[str, Any]:
        """The range of the values."""
        return {**self.frame.states, "space": "Video"}

    @property
    def protocol(self) -> dict[str, Any]:
        """As of a frame."""
        return {**self.frame.protocol, "space": "Video"}

    def augment(self, key: jax.Array, examples: jax.Array) -> jax.Array:
        """Flipped or not, all frames of a video alike."""
        return self.frame.alike(key, examples)

    def alike(self, key: jax.Array, images: jax.Array) -> jax.Array:
        """Flipped where the videos are."""
        return self.frame.alike(key, images)

    @property
    def told(self) -> int:
        """The numbers of the augmentations."""
        return self.frame.told

    def distort(self, key: jax.Array, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Augmented videos, and by how much; see spaces.augmentation."""
        if not self.augmentations:
            return super().distort(key, x)
        frames = self.shape[0]
        drawn = augmentation.draw(key, len(x), self.augmentations, self.augmentation_probability)
        of_frames = {name: jnp.repeat(one, frames, axis=0) for name, one in drawn.items()}
        images = x.reshape(-1, *self.shape[1:])
        found = augmentation.apply(self.frame.images(images), of_frames)
        found = found if self.centered else (found + 1) / 2
        return found.reshape(x.shape), augmentation.numbers(drawn)

    def encode(self, examples: jax.Array, key: jax.Array | None = None) -> jax.Array:
        """As images, pixel by pixel; see Pixels.encode."""
        return self.frame.encode(examples, key)

    def decode(self, x: jax.Array) -> jax.Array:
        """As images, pixel by pixel; see Pixels.decode."""
        return self.frame.decode(x)

    def neutral(self, examples: jax.Array) -> jax.Array:
        """States of gray, for what is not known of examples; [batch, *shape]."""
        return self.frame.neutral(examples)

    def save(self, folder: Path, names: Sequence[str], examples: np.ndarray) -> None:
        """As .png, animated, which loses nothing."""
        for name, video in zip(names, examples, strict=True):
            pictures.save_video(folder / f"{name}.png", video)

    def show(
        self,
        path: Path,
        examples: np.ndarray,
        columns: int | None = None,
        captions: Sequence[str] = (),
    ) -> None:
        """A PNG with a row for each video, its frames from left to right, and a GIF that plays.

        The GIF, of the same name, has the videos side by side, as many a row as `columns` says, so
        large that there is room for captions.
        """
        strips = np.stack([pictures.film_strip(video) for video in pictures.enlarged(examples)])
        strips = pictures.captioned(strips, captions)
        # The PNG last: where it is, both are whole.
        moving = pictures.enlarged(examples, pictures.ROOM).swapaxes(0, 1)
        pictures.save_moving(path.with_suffix(".gif"), moving, columns, captions)
        pictures.save_png(path, pictures.grid(strips, 1, border=pictures.BORDER))
