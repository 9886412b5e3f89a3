"""Images as latents of an autoencoder, which is not trained with the model (2112.10752)."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

import jax
import jax.numpy as jnp
import numpy as np

from score_sde import sections
from score_sde.autoencoder import Gaussian
from score_sde.errors import UserError
from score_sde.fields import Field
from score_sde.parts import Part
from score_sde.sections import DERIVED, DERIVED_ARRAY
from score_sde.spaces import levels, pictures
from score_sde.spaces.base import Space
from score_sde.spaces.latents import per_channel
from score_sde.spaces.pixels import REGIONS
from score_sde.spaces.standardized import measured
from score_sde.spaces.tiles import tiled
from score_sde.values import Count, Length, Positive
from score_sde.values import Path as PathOf

if TYPE_CHECKING:
    from score_sde.data.base import Source

STATIC = {"static": True}


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Autoencoded(Space):
    """x = scale * (z - shift), channel by channel, with z ~ q(z | image) of an autoencoder.

    Attributes:
        shape: (height, width, channels) of the latents.
        image: (height, width, channels) of an image.
        levels: distinct values of a pixel.
        autoencoder: of a run that begins, the run of its autoencoder, or one that has it; it is
            kept in the new run's folder from then on.
        channels: of the latents.
        factor: how many times as long a side of an image is.
        scale: one number, or one for each channel, that brings latents to unit variance; empty: one
            over the standard deviation that is measured on training examples.
        shift: likewise, their mean.
        per_channel: whether what is measured is measured for each channel, or of all together.
        sample: whether a latent is drawn from q(z | image) where there is a key, as in training;
            else it is its mean.
        tile: side of the tiles, in latents, in which larger states are decoded, see tiles; 0 for at
            once.
        measured: scale and shift as they were measured, by name.
        part: the autoencoder; None where it has not been read.

    Raises:
        ValueError: a side is no multiple of the factor, or there are neither one nor as many
            numbers as channels.
    """

    KINDS: ClassVar[tuple[str, ...]] = ("image",)
    IMAGES: ClassVar[bool] = True
    PARTS: ClassVar[tuple[str, ...]] = ("autoencoder",)
    MOST: ClassVar[int] = 64
    REGIONS: ClassVar[Mapping[str, tuple[slice, ...]]] = REGIONS
    DENSITY: ClassVar[str] = "latents of the autoencoder, not images"

    shape: tuple[int, ...] = dataclasses.field(metadata=DERIVED)
    image: tuple[int, ...] = dataclasses.field(metadata=DERIVED)
    levels: int = dataclasses.field(metadata=DERIVED)
    autoencoder: PathOf = dataclasses.field(default="", metadata=STATIC)
    channels: Count = dataclasses.field(default=4, metadata=STATIC)
    factor: Count = dataclasses.field(default=8, metadata=STATIC)
    scale: Annotated[Sequence[Positive], Length(0, 4096)] = dataclasses.field(
        default=(), metadata=STATIC
    )
    shift: Annotated[Sequence[float], Length(0, 4096)] = dataclasses.field(
        default=(), metadata=STATIC
    )
    per_channel: bool = dataclasses.field(default=False, metadata=STATIC)
    sample: bool = dataclasses.field(default=True, metadata=STATIC)
    tile: int = dataclasses.field(default=0, metadata=DERIVED)
    measured: tuple[tuple[str, tuple[float, ...]], ...] = dataclasses.field(
        default=(), metadata=DERIVED
    )
    part: Part | None = dataclasses.field(default=None, metadata=DERIVED_ARRAY)

    def __post_init__(self):
        sections.check(self, f"{self._section}.")
        for name in ("scale", "shift"):
            if len(getattr(self, name)) not in (0, 1, self.channels):
                raise ValueError(
                    f"{self._section}.{name} has {len(getattr(self, name))} numbers: "
                    f"give 1, or one for each of {self.channels} channels, or none to measure them"
                )

    @classmethod
    def of(cls, field: Field, **options: Any) -> Self:
        """The space of an image."""
        factor, channels = options["factor"], options["channels"]
        if any(side % factor for side in field.shape[:2]):
            raise ValueError(
                f"config.space.autoencoded.factor={factor}: images of {field.shape[0]} x "
                f"{field.shape[1]} pixels need sides that are multiples of it"
            )
        height, width = (side // factor for side in field.shape[:2])
        plain = {name: tuple(options[name]) for name in ("scale", "shift")}
        return cls((height, width, channels), field.shape, field.values, **options | plain)

    @property
    def facts(self) -> dict[str, Any]:
        """Networks take the values as they are."""
        return {"centered": True}

    @property
    def states(self) -> dict[str, Any]:
        """Scale and shift, and whose latents they are."""
        of = {"autoencoder": self.part.fingerprint} if self.part else {}
        return {"space": "Autoencoded", **{n: list(v) for n, v in self._affine.items()}, **of}

    @property
    def decoding(self) -> dict[str, Any]:
        """The side of tiles, if states are larger."""
        return {"tile": self.tile} if 0 < self.tile < max(self.shape[:2]) else {}

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

    def tiled(self, side: int) -> Self:
        """See Space."""
        return dataclasses.replace(self, tile=side)

    def posterior(self, examples: jax.Array) -> Gaussian:
        """q(z | image), before scale and shift."""
        return Gaussian(*self.part(levels.to_model(examples, True), method="encode"))

    def encode(self, examples: jax.Array, key: jax.Array | None = None) -> jax.Array:
        """The mean of q(z | image), or a draw from it."""
        return self._state(self.posterior(examples), key)

    def of_images(self, images: jax.Array, key: jax.Array | None = None) -> jax.Array:
        """The same of images in [-1, 1], float [batch, height, width, c] of any size."""
        return self._state(Gaussian(*self.part(images, method="encode")), key)

    def _state(self, found: Gaussian, key: jax.Array | None) -> jax.Array:
        z = found.mean if key is None or not self.sample else found.draw(key)
        scale, shift = self._broadcast
        return scale * (z - shift)

    def decode(self, x: jax.Array) -> jax.Array:
        """uint8 images; see `images`."""
        return levels.from_model(self.images(x), True, self.levels, False)

    def images(self, x: jax.Array) -> jax.Array:
        """The images that states stand for, about in [-1, 1], float [batch, height, width, c]."""
        scale, shift = self._broadcast
        z, decode = x / scale + shift, functools.partial(self.part, method="decode")
        return tiled(decode, z, self.tile, self.factor) if self.tile else decode(z)

    def log_volume(self, examples: jax.Array) -> jax.Array:
        """To a density of z, before scale and shift: the sum of log scale, the same for all."""
        each = np.broadcast_to(np.log(self._affine["scale"]), self.shape[-1:]).sum()
        return jnp.full(len(examples), each * np.prod(self.shape[:-1]), jnp.float32)

    @property
    def _section(self) -> str:
        """Of a config."""
        return f"config.space.{type(self).__name__.lower()}"

    @property
    def _affine(self) -> dict[str, Sequence[float]]:
        """Scale and shift, as they are given or measured."""
        arrays = self.arrays()
        return {n: getattr(self, n) or arrays[n].tolist() for n in ("scale", "shift")}

    @property
    def _broadcast(self) -> tuple[jax.Array, jax.Array]:
        scale, shift = (per_channel(numbers) for numbers in self._affine.values())
        return scale, shift

    def _check_part(self) -> None:
        """Raise UserError unless the autoencoder makes such latents of such images."""
        prefix = self._section
        try:
            image = jax.ShapeDtypeStruct((1, *self.image), jnp.uint8)
            found = jax.eval_shape(self.posterior, image).mean.shape[1:]
        except ValueError as error:
            raise UserError(f"{prefix}.autoencoder: {error}") from error
        if found != self.shape:
            factor = self.image[0] // found[0]
            raise UserError(
                f"{prefix}: its autoencoder makes latents of {'x'.join(map(str, found))}: give "
                f"--{prefix}.channels={found[-1]} --{prefix}.factor={factor}"
            )

    def neutral(self, examples: jax.Array) -> jax.Array:
        """The states of gray images; [batch, *shape]."""
        return self.encode(jnp.full_like(examples, 128))

    def save(self, folder: Path, start: int, examples: np.ndarray) -> None:
        """As 000000.png and so on."""
        for number, image in enumerate(examples, start):
            pictures.save_png(folder / f"{number:06d}.png", image)

    def corner(self, count: int) -> tuple[int, int]:
        """That of so many images across and down."""
        return pictures.picture_size(*self.image[:2], count, count)

    def show(self, path: Path, examples: np.ndarray, columns: int | None = None) -> None:
        """Side by side; small images are enlarged."""
        pictures.save_grid(path, examples, columns)
