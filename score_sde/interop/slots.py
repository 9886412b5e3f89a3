"""Which arrays of another project's network hold which of ours, and the way to go and to return.

A mapping between two networks is a sequence of slots that covers both; layouts has those of usual
layers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
from flax import nnx

from score_sde.interop.released import Arrays
from score_sde.models.functional import is_kernel, put
from score_sde.models.layers import Constant

Shape = tuple[int, ...]
_HALVES = {np.dtype(np.float16), np.dtype(ml_dtypes.bfloat16)}
# Parameters and constants by the names that models.functional gives them.
Placed = tuple[dict[str, jax.Array], dict[str, jax.Array]]


class Slot(NamedTuple):
    """Some official arrays, and the variables that hold the same numbers.

    Attributes:
        shapes: of the official arrays, by name.
        variables: ours; none for an array that says what an option of ours says.
        ours: official arrays, in this order, to those of the variables.
        back: the inverse.
    """

    shapes: dict[str, Shape]
    variables: tuple[nnx.Variable, ...]
    ours: Callable[..., tuple[np.ndarray, ...]]
    back: Callable[..., tuple[np.ndarray, ...]]


Slots = Iterator[Slot]


def names(model: nnx.Module) -> dict[int, str]:
    """The name that models.functional gives an array, by the identity of its variable."""
    return {id(variable): "/".join(map(str, path)) for path, variable in nnx.iter_graph(model)}


def check(slots: Iterable[Slot], shapes: Mapping[str, Shape]) -> None:
    """Compare names and shapes in the checkpoint's order, then what the checkpoint lacks.

    Raises:
        ValueError: they differ; the message names the first array that does, and both shapes.
    """
    wanted = {name: shape for slot in slots for name, shape in slot.shapes.items()}
    for name in [*shapes, *wanted]:
        if shapes.get(name) != wanted.get(name):
            raise ValueError(
                f"the config does not fit the checkpoint, first at {name}: the checkpoint has "
                f"{shapes.get(name, 'no such array')}, the model "
                f"{wanted.get(name, 'no such array')}"
            )


def to_params(model: nnx.Module, slots: Iterable[Slot], arrays: Mapping[str, np.ndarray]) -> Placed:
    """Official arrays under the names that models.functional gives ours.

    Args:
        model: the network; an abstract one, as nnx.eval_shape makes it, will do.
        slots: of every array of both.
        arrays: by their official names.

    Returns:
        (parameters, constants), each {"path/of/the/array": array}, in the dtype of the model's.

    Raises:
        ValueError: see check; or an array holds a number that is not finite in float32, or another
            than an option of the model says.
    """
    placing = Placing(model, tuple(slots), arrays)
    params, constants = {}, {}
    for name, value in placing.each():
        variable = placing.variables[name]
        group = constants if isinstance(variable, Constant) else params
        group[name] = put(value, variable.dtype)
    return params, constants


class Placing:
    """Official arrays on their way to ours, one at a time: a large network never lies here whole.

    Attributes:
        variables: of the network, by the names that models.functional gives them.
    """

    def __init__(self, model: nnx.Module, slots: Iterable[Slot], arrays: Mapping[str, np.ndarray]):
        """Arguments, and what is raised, are as of `to_params`; of the numbers, by `each`."""
        self._slots, self._arrays = tuple(slots), arrays
        check(self._slots, {name: tuple(np.shape(array)) for name, array in arrays.items()})
        self._paths = names(model)
        self.variables = {
            self._paths[id(variable)]: variable
            for slot in self._slots
            for variable in slot.variables
        }

    def each(self) -> Iterator[tuple[str, np.ndarray]]:
        """Name and value of each of our arrays, as the official ones have the numbers."""
        for slot in self._slots:
            found = [_finite(name, self._arrays[name]) for name in slot.shapes]
            if not slot.variables:
                check_fixed(slot, found)
                continue
            for variable, value in zip(slot.variables, slot.ours(*found), strict=True):
                yield self._paths[id(variable)], value

    def shapes(self, kernels: jnp.dtype | None = None) -> dict[str, jax.ShapeDtypeStruct]:
        """Shapes of ours, in half precision where the official arrays are.

        Args:
            kernels: precision of the kernels of layers; None for theirs.
        """
        found = {}
        for slot in self._slots:
            stored = {np.asarray(self._arrays[name]).dtype for name in slot.shapes}
            for variable in slot.variables:
                name, dtype = self._paths[id(variable)], variable.dtype
                if len(stored) == 1 and stored <= _HALVES:
                    (dtype,) = stored
                if kernels is not None and is_kernel(name):
                    dtype = kernels
                found[name] = jax.ShapeDtypeStruct(variable.shape, dtype)
        return found


def from_params(
    model: nnx.Module,
    slots: Iterable[Slot],
    params: Mapping[str, jax.Array],
    constants: Mapping[str, jax.Array],
) -> Arrays:
    """The inverse of `to_params`: arrays under their official names.

    Raises:
        ValueError: the network has an array for which the official one has no place.
    """
    paths, arrays, placed = names(model), {}, set()
    for slot in slots:
        ours = [paths[id(variable)] for variable in slot.variables]
        placed.update(ours)
        values = [np.asarray(params[n] if n in params else constants[n]) for n in ours]
        for name, array in zip(slot.shapes, slot.back(*values), strict=True):
            arrays[name] = np.asarray(array, order="C")  # ascontiguousarray adds an axis to none
    if extra := sorted((params.keys() | constants.keys()) - placed):
        raise ValueError(f"the official network has no place for {extra[0]}")
    return arrays


def _finite(name: str, array: np.ndarray) -> np.ndarray:
    array = np.asarray(array)
    if not np.all(np.abs(array) <= np.finfo(np.float32).max):  # false for NaN as well
        raise ValueError(f"{name} holds a number that is not finite")
    return array


def check_fixed(slot: Slot, found: Iterable[np.ndarray]) -> None:
    """Compare arrays of a slot without variables with what it says.

    Raises:
        ValueError: they differ; the message names the array.
    """
    for name, theirs, ours in zip(slot.shapes, found, slot.back(), strict=True):
        if theirs.shape != ours.shape or not np.allclose(
            theirs, ours, rtol=1e-3, atol=1e-6
        ):  # it may have been in half
            raise ValueError(
                f"the config does not fit the checkpoint, first at {name}: it says "
                f"{_few(theirs)}, the model {_few(ours)}"
            )


def _few(array: np.ndarray) -> str:
    flat = [f"{x:.4g}" for x in np.ravel(array)[:4].tolist()]
    return f"[{', '.join(flat)}{', ...' if np.size(array) > 4 else ''}]"
