"""Flax modules as pure functions of plain dictionaries of arrays.

A model is split once into its structure and two flat dictionaries, {"path/of/the/array": array}:
its trainable parameters and its constants (such as fixed Fourier frequencies). Everything else in
the house, from the optimiser to the checkpoints, sees only those.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
from flax import nnx, traverse_util

Arrays = dict[str, jax.Array]


class Functional(NamedTuple):
    """A model as a pure function.

    Attributes:
        init: maps a key to (parameters, constants).
        apply: maps (parameters, constants), then the model's own arguments, to its output.
        shapes: (parameters, constants) as jax.ShapeDtypeStruct.
    """

    init: Callable[[jax.Array], tuple[Arrays, Arrays]]
    apply: Callable[..., Any]
    shapes: tuple[dict[str, jax.ShapeDtypeStruct], dict[str, jax.ShapeDtypeStruct]]


class _Stream(nnx.RngStream):
    """The keys of nnx.RngStream, counted in Python.

    Its own count is an array. Traced, each use of it has JAX look through all that was traced
    before, so that a network took a time to build that grows with the square of its layers.
    """

    def __init__(self, key: jax.Array | int):
        super().__init__(key, tag="default")
        self.uses = 0

    def __call__(self) -> jax.Array:
        self.uses += 1
        return jax.random.fold_in(self.key[...], self.uses - 1)


def streams(key: jax.Array | int) -> nnx.Rngs:
    """Random streams for the initialisation of a model: the keys of nnx.Rngs(key), sooner."""
    found = nnx.Rngs(key)
    found.default = _Stream(key)
    return found


def functional(make: Callable[[nnx.Rngs], nnx.Module]) -> Functional:
    """Split a model. No array is made until `init` is called.

    Args:
        make: builds the model from its random streams.
    """
    graph, params, constants = nnx.split(nnx.eval_shape(lambda: make(streams(0))), nnx.Param, ...)

    def init(key: jax.Array) -> tuple[Arrays, Arrays]:
        _, params, constants = nnx.split(make(streams(key)), nnx.Param, ...)
        return _flatten(params), _flatten(constants)

    def apply(params: Arrays, constants: Arrays, *args: Any, **kwargs: Any) -> Any:
        return nnx.merge(graph, _unflatten(params), _unflatten(constants))(*args, **kwargs)

    return Functional(init, apply, (_flatten(params), _flatten(constants)))


def _flatten(state: nnx.State) -> Arrays:
    flat = traverse_util.flatten_dict(nnx.to_pure_dict(state))
    return {"/".join(map(str, path)): array for path, array in sorted(flat.items(), key=str)}


def _unflatten(arrays: Arrays) -> dict[Any, Any]:
    # Members of a list of modules have integers for names.
    paths = {
        tuple(int(part) if part.isdigit() else part for part in name.split("/")): array
        for name, array in arrays.items()
    }
    return traverse_util.unflatten_dict(paths)
