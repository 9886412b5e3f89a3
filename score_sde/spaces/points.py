"""Sets of points: a place in space, and perhaps more numbers, of each; sets may differ in size."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

import jax
import jax.numpy as jnp
import numpy as np

from score_sde import keys
from score_sde.errors import UserError
from score_sde.fields import Field
from score_sde.files import replacing
from score_sde.sections import DERIVED, DERIVED_ARRAY
from score_sde.spaces import parts, pictures, turntable
from score_sde.spaces.base import Space
from score_sde.spaces.rotations import ROTATIONS
from score_sde.subspace import PointSets, centred
from score_sde.values import Name, one_of

if TYPE_CHECKING:
    from score_sde.data.base import Source

PLACES = 3  # coordinates of a point
_AT_ONCE = 1 << 12  # examples that are measured at a time
_STATIC = {"static": True}


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Points(Space):
    """x = (example - its centre) / scale; rows of zeros, which are no points, stay zeros.

    The centre is the mean of the places of an example: what is modelled is a set up to where it
    lies, in the subspace of arrays without a centre of mass (score_sde.subspace).

    Attributes:
        shape: (most points, 3 + k).
        scale: the root mean square over the training data, [3 + k]: of places, which have one
            scale, about the centre of each set, of other numbers about zero; 1 where that is 0.
        size: the field of numbers that says how many points an example has, which the network has
            to be told; empty where all have as many.
        rotations: random ones in training, a name in rotations.ROTATIONS: "vertical", about the
            third axis; "all"; or "none".
    """

    KINDS: ClassVar[tuple[str, ...]] = ("points",)
    MOVES: ClassVar[bool] = True
    MOST: ClassVar[int] = 64
    FEW: ClassVar[int] = 12

    shape: tuple[int, ...] = dataclasses.field(metadata=DERIVED | _STATIC)
    scale: jax.Array | np.ndarray = dataclasses.field(metadata=DERIVED_ARRAY)
    size: Name = dataclasses.field(default="", metadata=_STATIC)
    rotations: Annotated[str, one_of(ROTATIONS)] = dataclasses.field(
        default="none", metadata=_STATIC
    )

    @classmethod
    def of(cls, field: Field, **options: Any) -> Self:
        """The space of sets of points, not yet fitted: scale 1.

        Raises:
            ValueError: points have less than three coordinates.
        """
        if field.shape[1] < PLACES:
            raise ValueError(f"{field.words} has no places in space: points of 3 numbers have")
        return cls(field.shape, np.ones(field.shape[1], np.float32), **options)

    @property
    def subspace(self) -> PointSets:
        """Sets without a centre of mass, of their size."""
        return PointSets(PLACES, self.size)

    @property
    def facts(self) -> dict[str, Any]:
        """The name of the size among the conditions."""
        return {"size_condition": self.size}

    def fitted(self, source: Source, name: str) -> Self:
        """With the scale of all examples, in float64.

        Raises:
            UserError: they are not finite.
        """
        squares, count = np.zeros(self.shape[1]), 0
        for start in range(0, len(source), _AT_ONCE):
            rows = np.arange(start, min(start + _AT_ONCE, len(source)))
            x = np.asarray(source.gather(rows)[name], np.float64)
            there = x.any(axis=-1, keepdims=True)
            points = np.maximum(there.sum(axis=1, keepdims=True), 1)
            x[..., :PLACES] -= x[..., :PLACES].sum(axis=1, keepdims=True) / points
            squares += np.where(there, x**2, 0).sum(axis=(0, 1))
            count += there.sum()
        squares[:PLACES] = squares[:PLACES].mean()
        scale = np.sqrt(squares / max(count, 1))
        if not np.isfinite(scale).all():
            raise UserError(f"{source.info.name}: {name} has values that are not finite")
        return self.with_arrays({"scale": np.where(scale > 0, scale, 1)})

    def arrays(self) -> dict[str, np.ndarray]:
        """The scale."""
        return {"scale": np.asarray(self.scale)}

    def with_arrays(self, arrays: Mapping[str, Any]) -> Self:
        """With this scale, float32."""
        return dataclasses.replace(self, scale=np.asarray(arrays["scale"], np.float32))

    def augment(self, key: jax.Array, examples: jax.Array) -> jax.Array:
        """Turned at random about the origin."""
        each = key if keys.is_vector(key) else jax.random.split(key, len(examples))
        turns = jax.vmap(lambda one: ROTATIONS[self.rotations](one, examples.dtype))(each)
        places = jnp.einsum("bnj,bij->bni", examples[..., :PLACES], turns, precision="highest")
        return jnp.concatenate([places, examples[..., PLACES:]], axis=-1)

    def encode(self, examples: jax.Array, key: jax.Array | None = None) -> jax.Array:
        """(example - its centre) / scale; nothing is random."""
        x = examples / self.scale[None, None]
        return centred(x, self._there(examples), PLACES)

    def decode(self, x: jax.Array) -> jax.Array:
        """scale x, about the origin."""
        return x * self.scale[None, None]

    def log_volume(self, examples: jax.Array) -> jax.Array:
        """-sum log scale over the dimensions of each: places have one less than points."""
        points = jnp.sum(self._there(examples), axis=1)[:, None]
        each = points - jnp.where(jnp.arange(self.shape[1]) < PLACES, 1, 0)[None]
        return -jnp.sum(jnp.maximum(each, 0) * jnp.log(self.scale)[None], axis=1)

    def _there(self, examples: jax.Array) -> jax.Array:
        """Which rows are points, bool [batch, n]."""
        if not self.size:
            return jnp.ones(examples.shape[:2], bool)
        return jnp.any(examples != 0, axis=-1)

    @property
    def ending(self) -> str:
        """Of files; see Space."""
        return "ply"

    def there(self, examples: np.ndarray) -> np.ndarray:
        """Which rows are points; see Space."""
        if not self.size:
            return super().there(examples)
        return np.asarray(self._there(jnp.asarray(examples)))

    def region(self, name: str, examples: np.ndarray) -> np.ndarray:
        """In eighths of the points of each; see Space."""
        (along,) = self.REGIONS[name]
        return parts.region_of_rows(along, self.there(examples))[..., None]

    def fit(
        self, samples: np.ndarray, asked: np.ndarray, known: np.ndarray
    ) -> dict[str, np.ndarray]:
        """rmsd, of the known points after superposition; see Space."""
        return {"rmsd": parts.deviations(samples, asked, known)}

    def save(self, folder: Path, names: Sequence[str], examples: np.ndarray) -> None:
        """As .ply, in text: a line a point, which any viewer of meshes opens."""
        for name, example in zip(names, examples, strict=True):
            there = example[example.any(axis=-1)]
            named = [*"xyz", *(f"value_{i}" for i in range(example.shape[1] - PLACES))]
            lines = ["ply", "format ascii 1.0", f"element vertex {len(there)}"]
            lines += [f"property float {name}" for name in named]
            lines += ["end_header", *(" ".join(f"{v:.7g}" for v in point) for point in there)]
            with replacing(folder / f"{name}.ply") as file:
                file.write("\n".join([*lines, ""]).encode())

    def corner(self, count: int) -> tuple[int, int]:
        """That of so many examples across and down."""
        return pictures.picture_size(turntable.SIDE, turntable.VIEWS * turntable.SIDE, count, count)

    def show(
        self,
        path: Path,
        examples: np.ndarray,
        columns: int | None = None,
        captions: Sequence[str] = (),
    ) -> None:
        """Each from several sides, in a row, as by a turntable; and a GIF in which all turn.

        The GIF, of the same name, has the sets side by side, as many a row as `columns` says.
        """
        places = examples[..., :PLACES]
        turning = turntable.turning(places)
        # The PNG last: where it is, both are whole.
        pictures.save_moving(path.with_suffix(".gif"), turning, columns, captions)
        pictures.save_grid(path, turntable.views(places), columns, captions)
