"""Images as pixels: any height and width, any channels, any number of levels."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, ClassVar, Self

import jax

from score_sde import sections
from score_sde.fields import Field
from score_sde.sections import DERIVED
from score_sde.spaces import augmentation, levels
from score_sde.spaces.augmentation import TRANSFORMS
from score_sde.spaces.dequantization import Lattice
from score_sde.spaces.image import Image
from score_sde.values import between, one_of


@jax.tree_util.register_static
@dataclasses.dataclass(frozen=True)
class Pixels(Image):
    """uint8 images; states are float32, NHWC.

    Attributes:
        shape: (height, width, channels).
        levels: distinct values of a pixel.
        centered: whether states are in [-1, 1]; else they are in [0, 1].
        flip: mirror images left to right, at random, in training.
        dequantize: add uniform noise to the levels, for which `decode` has intervals, not points.
        augmentations: transforms of images in training that the network is told of, names in
            spaces.augmentation.TRANSFORMS; EDM's are xflip, yflip, scale, rotate, aniso, translate.
        augmentation_probability: of each, but for xflip, which is applied to half of the images.

    Raises:
        ValueError: there is no such transform, or it is of other colours.
    """

    factor: ClassVar[int] = 1  # how many times as long as of a state a side of an image is

    shape: tuple[int, ...] = dataclasses.field(metadata=DERIVED)
    levels: int = dataclasses.field(metadata=DERIVED)
    centered: bool = True
    flip: bool = False
    dequantize: bool = False
    augmentations: tuple[Annotated[str, one_of(TRANSFORMS)], ...] = ()
    augmentation_probability: Annotated[float, between(0, 1)] = 0.12

    def __post_init__(self) -> None:
        sections.check(self)
        channels = self.shape[-1]
        coloured = {1: augmentation.OF_GRAY, 3: augmentation.COLOURS}.get(channels, ())
        for name in self.augmentations:
            if name in augmentation.COLOURS and name not in coloured:
                raise ValueError(
                    f"the augmentation {name} is of colours, and these images have {channels} "
                    f"channel{'s' * (channels > 1)}: leave it out"
                )

    @classmethod
    def of(cls, field: Field, **options: Any) -> Self:
        """The space of an image."""
        return cls(field.shape, field.values, **options)

    @property
    def image(self) -> tuple[int, ...]:  # type: ignore[override]  # read only, as all is
        """(height, width, channels) of an image."""
        return self.shape

    @property
    def facts(self) -> dict[str, Any]:
        """Networks are told in which range the values are."""
        return {"centered": self.centered}

    @property
    def lattice(self) -> Lattice:
        """Where the levels lie."""
        return Lattice(self.levels, self.centered, self.dequantize)

    @property
    def values(self) -> tuple[float, ...] | None:
        """What `encode` makes of the levels; None of dequantised data."""
        if self.dequantize:
            return None
        unit = levels.pixels(self.levels) / 255
        return tuple((2 * unit - 1 if self.centered else unit).tolist())

    @property
    def states(self) -> dict[str, Any]:
        """The range of the values."""
        return {"space": "Pixels", "range": [-1, 1] if self.centered else [0, 1]}

    @property
    def protocol(self) -> dict[str, Any]:
        """Levels, range, and whether the model was trained on dequantised data."""
        return {
            **self.states,
            "levels": self.levels,
            "trained_on_dequantized": self.dequantize,
        }

    def augment(self, key: jax.Array, examples: jax.Array) -> jax.Array:
        """Flipped or not."""
        return levels.random_flip(key, examples) if self.flip else examples

    def alike(self, key: jax.Array, images: jax.Array) -> jax.Array:
        """Flipped where the examples are."""
        *_, width, channels = images.shape  # frames are one image, each below the one before
        return self.augment(key, images.reshape(len(images), -1, width, channels)).reshape(
            images.shape
        )

    @property
    def told(self) -> int:
        """The numbers of the augmentations."""
        return augmentation.size(self.augmentations)

    def distort(self, key: jax.Array, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Augmented images, and by how much; see spaces.augmentation."""
        if not self.augmentations:
            return super().distort(key, x)
        drawn = augmentation.draw(key, len(x), self.augmentations, self.augmentation_probability)
        found = augmentation.apply(x if self.centered else 2 * x - 1, drawn)
        return found if self.centered else (found + 1) / 2, augmentation.numbers(drawn)

    def encode(self, examples: jax.Array, key: jax.Array | None = None) -> jax.Array:
        """Scaled; of dequantised data with noise from `key`, or in the middle of their interval."""
        if not self.dequantize:
            return levels.to_model(examples, self.centered)
        if key is None:
            return levels.middles(examples, self.levels, self.centered)
        return levels.dequantize(key, examples, self.levels, self.centered)

    def decode(self, x: jax.Array) -> jax.Array:
        """uint8 images of the nearest level; of dequantised data, of the one whose interval has x.

        Values outside of the range are clipped.
        """
        return levels.from_model(x, self.centered, self.levels, self.dequantize)

    def images(self, x: jax.Array) -> jax.Array:
        """Images of states x, [batch, *shape] in [-1, 1], between the levels too."""
        return x if self.centered else 2 * x - 1
