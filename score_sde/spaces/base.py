"""Space: what an example of the data is, and what the model sees of it.

A state x_0 = encode(example) is what processes, losses and samplers work on; decode(x) is the
example that a state stands for. Nothing outside a space, its metrics and its networks knows what an
example is. A space is a pytree: its arrays are arguments of compiled functions, never constants.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import jax
import jax.numpy as jnp
import numpy as np

from score_sde.errors import UserError
from score_sde.fields import NUMBERS, Field
from score_sde.spaces import parts
from score_sde.subspace import Subspace

if TYPE_CHECKING:
    from score_sde.data.base import Source
    from score_sde.parts import Part
    from score_sde.spaces.dequantization import Lattice


class Space:
    """Subclasses are frozen dataclasses, registered as pytrees.

    Attributes:
        KINDS: the kinds of fields that it models; see score_sde.fields.
        STATES: what its states are, as of processes.Process.
        PARTS: networks that it has, by the options that say where their files are; see parts.
        MOST: how many examples a picture shows at the most.
        FEW: how many one shows that is drawn in training.
        OVERLAID: whether it lays them over each other, as points of one plot, so that nothing
            stands beside each.
        OF_DATA: whether its networks lie beside the data, see data.encoded, and not where options
            say.
        MOVES: whether `show` writes a GIF beside its PNG, of the same name, in which they move.
        REGIONS: parts of an example that can be unknown, by name: of each of its first axes a slice
            in eighths of it, or none where `region` says otherwise which it is. Empty where parts
            cannot be known.
        SETS_OFF: how `show` sets off which elements of the first axis of each example were known,
            in words, where it takes these as `known`, bool [n, elements]; "" where it does not.
        UNITS: of the numbers of `fit` by their names, but of those without one.
        IMAGES: whether `images` gives states as images, which prompts ask for.
        DENSITY: what a log-likelihood is of, where it is not of examples; "" where it is.
        shape: of a state, without the batch.
    """

    KINDS: ClassVar[tuple[str, ...]] = ()
    STATES: ClassVar[str] = NUMBERS
    PARTS: ClassVar[tuple[str, ...]] = ()
    MOST: ClassVar[int] = 256
    FEW: ClassVar[int] = 64
    OVERLAID: ClassVar[bool] = False
    OF_DATA: ClassVar[bool] = False
    MOVES: ClassVar[bool] = False
    REGIONS: ClassVar[Mapping[str, tuple[slice, ...]]] = {}
    SETS_OFF: ClassVar[str] = ""
    UNITS: ClassVar[Mapping[str, str]] = {}
    IMAGES: ClassVar[bool] = False
    DENSITY: ClassVar[str] = ""
    shape: tuple[int, ...]

    @classmethod
    def of(cls, field: Field, **options: Any) -> Self:
        """The space of a field of one of KINDS.

        Args:
            field: what is modelled.
            **options: the fields of the dataclass that are options.
        """
        raise NotImplementedError

    @property
    def lattice(self) -> Lattice | None:
        """Where the states of discrete data lie; None of continuous data."""
        return None

    @property
    def values(self) -> tuple[float, ...] | None:
        """Those that a number of a state can have, ascending; None if it can have any."""
        return None

    @property
    def subspace(self) -> Subspace:
        """Where its states lie; by default all arrays of their shape are states."""
        return Subspace()

    @property
    def facts(self) -> dict[str, Any]:
        """What else a network may be told of the states, by the name of its argument."""
        return {}

    @property
    def states(self) -> dict[str, Any]:
        """What determines the state of an example, but for noise on it, as JSON values."""
        arrays = {name: array.tolist() for name, array in self.arrays().items()}
        return {"space": type(self).__name__, **arrays}

    @property
    def protocol(self) -> dict[str, Any]:
        """What determines how examples become states, and states examples, as JSON values."""
        return self.states

    @property
    def decoding(self) -> dict[str, Any]:
        """What of `decode` a run may change, as JSON values, where it makes a difference."""
        return {}

    def fitted(self, source: Source, name: str) -> Self:
        """This space with its arrays measured on the field `name` of training data, `source`."""
        return self

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays of a fitted space, by name; small ones, which a run's config.json keeps."""
        return {}

    def with_arrays(self, arrays: Mapping[str, Any]) -> Self:
        """The fitted space again, from what `arrays` gave."""
        return self

    def with_parts(self, parts: Mapping[str, Part]) -> Self:
        """This space with these networks, the `parts` that PARTS names."""
        return self

    def tiled(self, side: int) -> Self:
        """This space, where it decodes states larger than tiles of this side by tiles."""
        return self

    def augment(self, key: jax.Array, examples: jax.Array) -> jax.Array:
        """Random changes that leave examples examples; used in training only.

        Args:
            key: JAX random key, or one for each example, [batch].
            examples: [batch, *shape of the field].

        Returns:
            The shape and dtype of examples.
        """
        return examples

    def alike(self, key: jax.Array, images: jax.Array) -> jax.Array:
        """What `augment` with this key does to other images of the same examples, such as a sketch.

        Args:
            key: as of `augment`.
            images: pixels beside the examples, [batch, ..., height, width, channels].

        Returns:
            The shape and dtype of images.
        """
        return images

    @property
    def told(self) -> int:
        """How many numbers say what `distort` did to a state; 0 where it does nothing."""
        return 0

    def distort(self, key: jax.Array, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Random changes that make other states, which a network is told of; in training only.

        Args:
            key: JAX random key, or one for each example, [batch].
            x: [batch, *shape].

        Returns:
            States, and the numbers of each, [batch, told]: zero for one that was left as it is.
        """
        return x, jnp.zeros((len(x), self.told), x.dtype)

    def encode(self, examples: jax.Array, key: jax.Array | None = None) -> jax.Array:
        """States of examples.

        Args:
            examples: [batch, *shape of the field].
            key: JAX random key, or one for each example, [batch], where the state of an example is
                random; None for a state in its middle, which `decode` inverts.

        Returns:
            [batch, *shape].
        """
        raise NotImplementedError

    def decode(self, x: jax.Array) -> jax.Array:
        """The examples that states x, [batch, *shape], stand for: [batch, *shape of `decoded`]."""
        raise NotImplementedError

    def decoded(self, field: Field) -> Field:
        """The field that `decode` gives values of: that of the examples, if they are no latents."""
        return field

    def viewed(self, examples: jax.Array) -> jax.Array:
        """What `show` and `save` take for examples of the field; [batch, *shape of `decoded`]."""
        return examples

    def neutral(self, examples: jax.Array) -> jax.Array:
        """States that show nothing, for what is not known of examples; [batch, *shape]."""
        return jnp.zeros((len(examples), *self.shape), jnp.float32)

    def there(self, examples: np.ndarray) -> np.ndarray:
        """Which elements of the first axis there are of each example; bool [batch or 1, n].

        Args:
            examples: on the host, [batch, *shape of the field].
        """
        return np.ones((1, examples.shape[1]), bool)

    def region(self, name: str, examples: np.ndarray) -> np.ndarray:
        """Where the part of examples is that REGIONS names.

        Args:
            name: of the part.
            examples: on the host, [batch, *shape of the field].

        Returns:
            bool [batch or 1, ..., 1], with as many axes as examples.
        """
        return parts.region(self.REGIONS[name], examples.shape[1:-1])[None, ..., None]

    def read(self, path: Path) -> list[parts.Rows]:
        """What a file holds whose rows a part of an example can be, as of those that `save` writes.

        Args:
            path: of the file.

        Raises:
            UserError: it cannot be read, or examples of this space have no such rows.
        """
        raise UserError(
            "what this model draws has no parts that are read from files, as chains and molecules "
            "have: leave out --task=motif"
        )

    def fit(
        self, samples: np.ndarray, asked: np.ndarray, known: np.ndarray
    ) -> dict[str, np.ndarray]:
        """How well what was drawn goes with what was known: numbers of each sample, by name.

        Args:
            samples: on the host, [batch, *shape of the field].
            asked: of which a part was known, shape of samples.
            known: where, bool [batch or 1, ...], with as many axes.
        """
        return {}

    def log_volume(self, examples: jax.Array) -> jax.Array:
        """log |d encode / d example|, nats, [batch]: from a density of states to one of examples.

        Where DENSITY says so, to one of what that is.

        Args:
            examples: [batch, *shape of the field].

        Raises:
            ValueError: examples are discrete, and have probabilities and no density.
        """
        raise ValueError("examples of this space are discrete: they have no density")

    @property
    def ending(self) -> str:
        """Of the files by which other programs open samples, as "wav", which `save` writes.

        "" where the arrays and the picture of samples say it all, and none are written beside them.
        """
        return ""

    def save(self, folder: Path, names: Sequence[str], examples: np.ndarray) -> None:
        """Write a file for each example; the folder is made.

        Args:
            folder: where.
            names: of the files, without what they end in.
            examples: on the host, [n, *shape of the field].
        """
        raise NotImplementedError

    def corner(self, count: int) -> tuple[int, int] | None:
        """Pixels across and down of what `show` draws of `count` rows and columns of examples.

        None where examples do not stand in rows.
        """
        return None

    def show(
        self,
        path: Path,
        examples: np.ndarray,
        columns: int | None = None,
        captions: Sequence[str] = (),
    ) -> None:
        """Write one PNG that shows examples, and a GIF if MOVES says so; its folder is made.

        Args:
            path: where.
            examples: on the host, [n, *shape of the field].
            columns: examples a row, where they stand in rows; as square as possible if None.
            captions: what was asked for of each, to stand above it where there is room; or none.
        """
        raise NotImplementedError
