"""Flax modules as pure functions of plain dictionaries of arrays.

A model is split once into its structure and two flat dictionaries, {"path/of/the/array": array}:
its trainable parameters and its constants (such as fixed Fourier frequencies). Everything else in
the house, from the optimiser to the checkpoints, sees only those.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
from flax import nnx, traverse_util
from jax.sharding import Mesh

from score_sde.models import placing
from score_sde.models.layers import Dense, UnitParam, unit_rms

Arrays = dict[str, jax.Array]


class Functional(NamedTuple):
    """A model as a pure function.

    Attributes:
        init: maps a key to (parameters, constants).
        apply: maps (parameters, constants), then the model's own arguments, to its output; with
            method="name", to that of another of its methods.
        shapes: (parameters, constants) as jax.ShapeDtypeStruct.
        project: maps parameters to those that a step of training begins with: each UnitParam of
            unit size (forced weight normalisation), the others as they are.
        linear: paths of the kernels of Dense layers, with which x @ kernel is all that is done.
        make: builds the model from its random streams; None of what is not one model.
        splits: how devices share arrays beyond `fsdp`, by their paths; see placing.
        stacked: paths of parameters whose first axis is that of a loop over blocks.
        cast: paths of parameters that devices share in the dtype that their layers compute in.
    """

    init: Callable[[jax.Array], tuple[Arrays, Arrays]]
    apply: Callable[..., Any]
    shapes: tuple[dict[str, jax.ShapeDtypeStruct], dict[str, jax.ShapeDtypeStruct]]
    project: Callable[[Arrays], Arrays] = lambda params: params
    linear: frozenset[str] = frozenset()
    make: Callable[[nnx.Rngs], nnx.Module] | None = None
    splits: Mapping[str, placing.Split] = {}
    stacked: frozenset[str] = frozenset()
    cast: frozenset[str] = frozenset()

    def on(self, mesh: Mesh) -> Functional:
        """The same on a mesh, over which its arrays lie as placing.stored says."""
        return self._replace(apply=placing.on(mesh, self.apply))


def put(array: np.ndarray, dtype: Any) -> jax.Array:
    """An array of the host on the default device, in this dtype.

    It is converted on the host: on the device each shape would be compiled.
    """
    return jax.device_put(np.asarray(array, dtype))


def is_kernel(name: str) -> bool:
    """Whether a path is that of a layer's kernel, which the layer casts to what it computes in."""
    return name.rpartition("/")[2] == "kernel"


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


@dataclasses.dataclass(frozen=True)
class Maker:
    """Builds a model from its random streams; equal to others of the same class and options.

    Attributes:
        of: the class, or a function.
        options: its arguments by name, but for the streams: numbers, texts and what else can be
            hashed, sequences and mappings of them.
    """

    of: Callable[..., nnx.Module]
    options: Mapping[str, Any] = dataclasses.field(compare=False)
    _key: Any = dataclasses.field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_key", _hashable(self.options))

    def __call__(self, rngs: nnx.Rngs) -> nnx.Module:
        """The model."""
        return self.of(**self.options, rngs=rngs)


def _hashable(value: Any) -> Any:
    """What is equal for equal values of the same types: 1, True and 1.0 are three."""
    if isinstance(value, Mapping):
        return tuple((name, _hashable(value[name])) for name in sorted(value))
    if isinstance(value, list | tuple):
        return tuple(map(_hashable, value))
    return type(value), value


def abstract(make: Callable[[nnx.Rngs], nnx.Module]) -> nnx.Module:
    """A model with shapes in place of its arrays; see functional."""
    return nnx.merge(*_split(make))


@functools.lru_cache(maxsize=32)
def _split(make: Callable[[nnx.Rngs], nnx.Module]) -> tuple[nnx.GraphDef, nnx.State, nnx.State]:
    """The structure of a model, its parameters and its constants."""
    return nnx.split(nnx.eval_shape(lambda: make(streams(0))), nnx.Param, ...)


@functools.lru_cache(maxsize=32)
def functional(make: Callable[[nnx.Rngs], nnx.Module]) -> Functional:
    """Split a model. No array is made until `init` is called.

    Args:
        make: builds the model from its random streams. What it builds is looked at once, also by
            others that are equal: large networks are seconds of Python. They are given one
            Functional, so that what is compiled of one is found again for the others.
    """
    graph, params, constants = _split(make)
    model = abstract(make)
    of_unit_size = {
        "/".join(map(str, path)) for path, v in nnx.iter_graph(model) if isinstance(v, UnitParam)
    }

    linear = frozenset(
        "/".join(map(str, (*path, "kernel")))
        for path, module in nnx.iter_graph(model)
        if type(module) is Dense
    )

    def init(key: jax.Array) -> tuple[Arrays, Arrays]:
        _, params, constants = nnx.split(make(streams(key)), nnx.Param, ...)
        return _flatten(params), _flatten(constants)

    def apply(
        params: Arrays, constants: Arrays, *args: Any, method: str = "__call__", **kwargs: Any
    ) -> Any:
        model = nnx.merge(graph, _unflatten(params), _unflatten(constants))
        if placing.shares():
            placing.gather_once(model)
        return getattr(model, method)(*args, **kwargs)

    def project(params: Arrays) -> Arrays:
        return {k: unit_rms(v) if k in of_unit_size else v for k, v in params.items()}

    shapes = _flatten(params), _flatten(constants)
    variables = {"/".join(map(str, path)): v for path, v in nnx.to_flat_state(params)}
    splits = {path: split for path, v in variables.items() if (split := placing.split_of(v))}
    stacked, cast = (
        frozenset(path for path, v in variables.items() if told(v))
        for told in (placing.is_stacked, placing.is_cast)
    )
    return Functional(init, apply, shapes, project, linear, make, splits, stacked, cast)


def beside(
    network: Functional, other: Functional, name: str
) -> tuple[Functional, Callable[..., Any]]:
    """A network and another model as one: trained, averaged and saved together.

    Args:
        network: keeps the names of its arrays, and the numbers that a key gives it.
        other: its arrays are named NAME/PATH.
        name: of the other, which no array of the network begins with.

    Returns:
        The network, whose arrays now hold those of both; and what calls the other with them.
    """

    def init(key: jax.Array) -> tuple[Arrays, Arrays]:
        ours, theirs = network.init(key), other.init(jax.random.fold_in(key, _OTHER))
        return _joined(ours[0], theirs[0], name), _joined(ours[1], theirs[1], name)

    def apply(params: Arrays, constants: Arrays, *args: Any, **kwargs: Any) -> Any:
        found = (split(arrays, name)[0] for arrays in (params, constants))
        return network.apply(*found, *args, **kwargs)

    def apply_other(params: Arrays, constants: Arrays, *args: Any, **kwargs: Any) -> Any:
        found = (split(arrays, name)[1] for arrays in (params, constants))
        return other.apply(*found, *args, **kwargs)

    def project(params: Arrays) -> Arrays:
        ours, theirs = split(params, name)
        return _joined(network.project(ours), other.project(theirs), name)

    shapes = tuple(_joined(*pair, name) for pair in zip(network.shapes, other.shapes, strict=True))
    splits = {**network.splits, **{f"{name}/{path}": v for path, v in other.splits.items()}}
    return Functional(init, apply, shapes, project, splits=splits), apply_other


def split(arrays: Arrays, name: str) -> tuple[Arrays, Arrays]:
    """The arrays of a network, and those of the model of this name that stands beside it."""
    other = {path: array for path, array in arrays.items() if path.startswith(f"{name}/")}
    network = {path: array for path, array in arrays.items() if path not in other}
    return network, {path.removeprefix(f"{name}/"): array for path, array in other.items()}


_OTHER = 0x6F626A  # far from the counts that a network's own keys are folded with


def _joined(network: Arrays, other: Arrays, name: str) -> Arrays:
    return network | {f"{name}/{path}": array for path, array in other.items()}


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


def fingerprint(*groups: Arrays, most: int | None = None) -> str:
    """SHA-256 of arrays, their names and shapes.

    Args:
        groups: arrays by name.
        most: of each array so many numbers or some more, evenly spaced, which are soon read; None
            for all. Other training changes nearly all numbers.
    """
    digest = hashlib.sha256()
    for arrays in groups:
        for name, array in sorted(arrays.items()):
            # One at a time, so that the host's memory holds no second copy of all.
            array = np.asarray(jax.device_get(array))
            digest.update(f"{name} {array.dtype} {array.shape}\n".encode())
            step = 1 if most is None else max(1, array.size // most)
            digest.update(array.reshape(-1)[::step].tobytes())
    return digest.hexdigest()
