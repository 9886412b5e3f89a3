"""Where arrays live: one mesh with the axes `data` and `fsdp`.

Batches are split over both axes. Parameters, and whatever has their shapes (moments of the
optimiser, moving averages), are split over `fsdp` and copied over `data`.
"""

from __future__ import annotations

import math
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from score_sde.training.options import OptionError

# Splitting an array smaller than this over devices costs more than it saves.
SMALLEST_SPLIT = 2**12


def make_mesh(fsdp: int = 1, name: str = "training.fsdp") -> Mesh:
    """The mesh over all devices of all processes.

    Args:
        fsdp: devices that share one copy of the parameters.
        name: the option that says so, for the message.

    Raises:
        OptionError: if the devices cannot be divided so.
    """
    devices = jax.device_count()
    if fsdp < 1 or devices % fsdp:
        raise OptionError(f"{name}={fsdp} must divide the number of devices, {devices}")
    return jax.make_mesh(
        (devices // fsdp, fsdp), ("data", "fsdp"), axis_types=(AxisType.Auto, AxisType.Auto)
    )


def check_batch(mesh: Mesh, name: str, batch: int, accumulate: int = 1) -> None:
    """Raise OptionError unless each device gets the same whole number of examples of a batch.

    Args:
        mesh: the mesh.
        name: the option that the message blames.
        batch: the global batch size.
        accumulate: parts the batch is worked through in.
    """
    parts = mesh.size * accumulate
    if batch % parts:
        near = max(1, round(batch / parts)) * parts
        each = f"{mesh.size} devices" + (f" x {accumulate} parts" if accumulate > 1 else "")
        raise OptionError(f"{name}={batch} cannot be divided over {each}; try {name}={near}")


def batch_sharding(mesh: Mesh, leading: int = 0) -> NamedSharding:
    """Examples split over all devices.

    Args:
        mesh: the mesh.
        leading: axes before the batch axis, which are not split.
    """
    return NamedSharding(mesh, PartitionSpec(*(None,) * leading, ("data", "fsdp")))


def replicated(mesh: Mesh) -> NamedSharding:
    """The same on every device."""
    return NamedSharding(mesh, PartitionSpec())


def state_sharding(mesh: Mesh, shapes: Any) -> Any:
    """The sharding of each array of a training state, by its shape alone.

    The last axis that `fsdp` divides is split; small arrays are not.

    Args:
        mesh: the mesh.
        shapes: pytree of arrays or jax.ShapeDtypeStruct.

    Returns:
        The same pytree of NamedSharding.
    """
    fsdp = mesh.shape["fsdp"]

    def one(array: jax.ShapeDtypeStruct) -> NamedSharding:
        divisible = [axis for axis, size in enumerate(array.shape) if size % fsdp == 0]
        if fsdp == 1 or not divisible or math.prod(array.shape) < SMALLEST_SPLIT:
            return replicated(mesh)
        spec = [None] * len(array.shape)
        spec[divisible[-1]] = "fsdp"
        return NamedSharding(mesh, PartitionSpec(*spec))

    return jax.tree.map(one, shapes)


def placed(mesh: Mesh, array: np.ndarray, dtype: Any = None) -> jax.Array:
    """An array on a mesh, split as `state_sharding` says; no device is given all of it first.

    Args:
        mesh: the mesh.
        array: the same on every process.
        dtype: as which it is kept; its own if None.
    """
    sharding = state_sharding(mesh, array)
    dtype = array.dtype if dtype is None else dtype
    return jax.make_array_from_callback(
        array.shape, sharding, lambda index: np.asarray(array[index]).astype(dtype)
    )


def all_placed(mesh: Mesh, arrays: Any) -> Any:
    """A pytree of arrays that every process has, each as by `placed`; those that are so stay."""

    def one(array: Any) -> jax.Array:
        if isinstance(array, jax.Array) and array.sharding == state_sharding(mesh, array):
            return array
        return placed(mesh, np.asarray(array))

    return jax.tree.map(one, arrays)


def split_batch(mesh: Mesh, batch: Any) -> Any:
    """Examples of this process on a mesh: split over all devices, or on each if they do not divide.

    Args:
        mesh: the mesh.
        batch: pytree of arrays, [batch, ...] each.
    """

    def one(array: jax.Array) -> jax.Array:
        whole = len(array) % mesh.size
        return jax.device_put(array, replicated(mesh) if whole else batch_sharding(mesh))

    return jax.tree.map(one, batch)


def to_devices(sharding: NamedSharding, batch: Any) -> Any:
    """Global arrays from each process's own part of a batch.

    Args:
        sharding: of the global arrays.
        batch: pytree of NumPy arrays, this process's rows.
    """

    def put(array: np.ndarray) -> jax.Array:
        return jax.make_array_from_process_local_data(sharding, array)

    return jax.tree.map(put, batch)


def shared_batch(mesh: Mesh, batch: np.ndarray) -> jax.Array:
    """A batch split over all devices, which every process has all of.

    Args:
        mesh: the mesh.
        batch: the same on every process, [batch, ...].
    """
    sharding = batch_sharding(mesh)
    return jax.make_array_from_callback(batch.shape, sharding, lambda index: batch[index])
