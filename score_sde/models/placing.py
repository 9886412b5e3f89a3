"""Where the arrays of a network lie on a mesh with the axes `data`, `fsdp` and `tensor`.

An array is stored split over `fsdp` and, where its layer says so, over `tensor`; see `stored`. A
layer computes with all of `fsdp` and its part of `tensor`: `gathered` brings that together just
before, and scatters the gradient back. Left to itself XLA's partitioner moves activations instead,
which are larger.

Two layers that follow one another are split as in Megatron (Shoeybi et al. 2019, arXiv 1909.08053,
Section 3): the first by its outputs, the second by its inputs. What is between them stays where it
is, and one sum over `tensor` ends the pair.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.sharding import Mesh, NamedSharding, PartitionSpec

# The axes over which the examples of a batch are split; those of one `tensor` group share theirs.
BATCH = ("data", "fsdp")
# Splitting an array smaller than this over devices costs more than it saves.
SMALLEST_SPLIT = 2**12
_TENSOR = "tensor"  # the name of the axis, and of the metadata of an nnx.Param
_STACKED = "stacked"  # metadata: the first axis is that of a loop, which gathers it by itself
_CAST = "cast"  # metadata: its layer reads it by `used`, in the dtype that it computes in
_HOW = "gathered"  # metadata, while a network is traced: how `used` gathers it, see `gathered`
# What makes of a stored array what a layer multiplies by; of other arrays it costs nothing.
_FROM_GATHERED = {"sharding_constraint", "reshape", "convert_element_type"}


@dataclasses.dataclass(frozen=True)
class Split:
    """How `tensor` splits an array of a layer.

    Attributes:
        axis: which, counted from the last, -1, so that it is the same in a stack.
        units: what cannot be divided further on it, such as heads.
        parts: arrays that lie one after another on it, such as queries, keys and values, each of
            which is split by itself.
    """

    axis: int
    units: int
    parts: int = 1

    @property
    def stored_axis(self) -> int:
        """The axis that is split in the state. That of several parts would split none of them."""
        return self.axis if self.parts == 1 else self.axis - 1

    def fits(self, tensor: int) -> bool:
        """Whether so many devices can share it."""
        return self.units % tensor == 0


def outputs(units: int, parts: int = 1) -> Split:
    """Of a layer's kernel or bias, by what it gives."""
    return Split(-1, units, parts)


def inputs(units: int) -> Split:
    """Of a layer's kernel, by what it is given; its bias is added once."""
    return Split(-2, units)


def metadata(split: Split | None = None, cast: bool = False) -> dict[str, Any]:
    """What an nnx.Param is told of its split, and of whether its layer reads it by `used`."""
    found: dict[str, Any] = {} if split is None else {_TENSOR: split}
    return found | {_CAST: True} if cast else found


def split_of(variable: nnx.Variable) -> Split | None:
    """What was told so."""
    return variable.get_metadata(_TENSOR, None)


def stack(variables: nnx.State) -> None:
    """Say of the arrays of blocks that a loop goes through that it gathers them."""
    for _, variable in nnx.to_flat_state(variables):
        variable.set_metadata(_STACKED, True)


def is_stacked(variable: nnx.Variable) -> bool:
    """Whether that was said."""
    return variable.get_metadata(_STACKED, False)


def is_cast(variable: nnx.Variable) -> bool:
    """Whether its layer reads it by `used`."""
    return variable.get_metadata(_CAST, False)


def stored(axes: Mapping[str, int], shape: tuple[int, ...], split: Split | None) -> PartitionSpec:
    """How an array of the state lies.

    `tensor` splits the axis that the layer names, or the one before where several parts lie on it;
    `fsdp` the last of the others that it divides. Small arrays lie on every device.

    Args:
        axes: sizes of the axes of the mesh.
        shape: of the array.
        split: what its layer says; None for an array that `tensor` does not split.
    """
    spec: list[Any] = [None] * len(shape)
    tensor, fsdp = axes[_TENSOR], axes["fsdp"]
    if math.prod(shape) < SMALLEST_SPLIT:
        return PartitionSpec()
    if split is not None and tensor > 1 and split.fits(tensor):
        axis = split.stored_axis
        if -axis <= len(shape) and shape[axis] % tensor == 0:
            spec[axis] = _TENSOR
    free = [i for i, size in enumerate(shape) if spec[i] is None and size % fsdp == 0]
    if fsdp > 1 and free:
        spec[free[-1]] = "fsdp"
    return PartitionSpec(*spec) if any(spec) else PartitionSpec()


@functools.lru_cache(maxsize=32)
def on(mesh: Mesh, function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that is traced for a mesh: networks that it calls gather their arrays there.

    Of one function and equal meshes it is one, by which what was compiled of it is found again.
    """

    @functools.wraps(function)
    def placed(*args: Any, **kwargs: Any) -> Any:
        with jax.sharding.use_abstract_mesh(mesh.abstract_mesh):
            return function(*args, **kwargs)

    return placed


def shares() -> bool:
    """Whether devices share arrays of the network that is traced; see `on`."""
    axes = jax.sharding.get_abstract_mesh().shape
    return any(axes.get(name, 1) > 1 for name in ("fsdp", _TENSOR))


def gather_once(model: nnx.Module) -> None:
    """Gather the arrays of a model that is traced, but for those that a loop gathers."""
    variables = nnx.state(model, lambda _, variable: not is_stacked(variable))
    nnx.update(model, gathers(variables)(variables))


def gathers(variables: nnx.State, stacked: bool = False) -> Callable[[nnx.State], nnx.State]:
    """What gathers the arrays of layers, or of one layer of those that are stacked.

    Those that layers read by `used` are left as they are, and told how they are gathered.

    Args:
        variables: the arrays as they are stored.
        stacked: whether what is gathered lacks their first axis.
    """
    axes = jax.sharding.get_abstract_mesh().shape

    def spec(array: jax.Array, split: Split | None) -> PartitionSpec:
        found = stored(axes, array.shape, split)
        return PartitionSpec(*found[stacked:])

    def one(variable: nnx.Variable) -> Any:
        # What an adapter puts in the place of a kernel is several arrays.
        value = variable.get_value()
        if not isinstance(value, jax.Array):
            return jax.tree.map(lambda array: (None, spec(array, None)), value)
        how = split_of(variable), spec(value, split_of(variable))
        if not is_cast(variable):
            return how
        variable.set_metadata(_HOW, how)
        return ()

    is_variable = lambda v: isinstance(v, nnx.Variable)  # noqa: E731
    how = jax.tree.leaves(
        jax.tree.map(one, variables, is_leaf=is_variable), is_leaf=lambda a: isinstance(a, tuple)
    )

    def gather(variables: nnx.State) -> nnx.State:
        leaves, structure = jax.tree.flatten(variables)
        pairs = zip(leaves, how, strict=True)
        return structure.unflatten(gathered(a, *own) if own else a for a, own in pairs)

    return gather


def used(variable: nnx.Variable, dtype: jnp.dtype) -> jax.Array:
    """What a layer multiplies by, in the dtype that it computes in.

    On a mesh it is gathered here, in the narrower of that dtype and its own: the same numbers as if
    it were gathered first.
    """
    array, how = variable[...], variable.get_metadata(_HOW, None)
    if how is None:
        return array.astype(dtype)
    if jnp.dtype(dtype).itemsize < array.dtype.itemsize:
        array = array.astype(dtype)
    return gathered(array, *how).astype(dtype)


def gathered(array: jax.Array, split: Split | None, spec: PartitionSpec) -> jax.Array:
    """What a layer computes with, of an array that is stored so.

    Args:
        array: of any shape, in the dtype that is sent.
        split: what its layer says.
        spec: how it is stored; its gradient is left so too.

    Returns:
        The same numbers. Where `tensor` splits an axis of several parts, that axis is two, of the
        parts and of what each has.
    """
    mesh, shape = jax.sharding.get_abstract_mesh(), array.shape
    view, used = shape, [None] * len(shape)
    if split is not None and mesh.shape[_TENSOR] > 1 and split.fits(mesh.shape[_TENSOR]):
        at = len(shape) + split.axis
        if split.parts > 1:
            view = (*shape[:at], split.parts, shape[at] // split.parts, *shape[at + 1 :])
            used = [*used, None]
            at += 1
        used[at] = _TENSOR
    # The parts are apart before they go to their devices, and come back before they are together.
    between = [None if axis == "fsdp" else axis for axis in (*spec, *[None] * len(shape))]
    between = NamedSharding(mesh, PartitionSpec(*between[: len(shape)]))
    home, there = NamedSharding(mesh, spec), NamedSharding(mesh, PartitionSpec(*used))
    constrain = jax.lax.with_sharding_constraint

    @jax.custom_vjp
    def gather(array: jax.Array) -> jax.Array:
        # Without this a cast before it would be made of the whole, and what is sent be wider.
        array = constrain(array, home)
        if view == shape:
            return constrain(array, there)
        return constrain(constrain(array, between).reshape(view), there)

    def scatter(_: None, gradient: jax.Array) -> tuple[jax.Array]:
        if view == shape:
            return (constrain(gradient, home),)
        return (constrain(constrain(constrain(gradient, there).reshape(shape), between), home),)

    gather.defvjp(lambda array: (gather(array), None), scatter)
    return gather(array)


def gathered_again(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function whose backward pass gathers again, and keeps all else that it needs."""
    return jax.checkpoint(function, prevent_cse=False, policy=_kept)


def _kept(primitive: Any, *_: Any, **params: Any) -> bool:
    """Whether what a step of a function gives is kept: not if it is but a gathered array."""
    called = params.get("call_jaxpr")  # of a function with a derivative of its own
    names = [primitive.name] if called is None else [e.primitive.name for e in called.eqns]
    return not {*names} <= _FROM_GATHERED
