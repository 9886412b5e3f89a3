"""Where arrays live: one mesh with the axes `data`, `fsdp` and `tensor`.

Batches are split over the first two. Parameters, and whatever has their shapes (moments of the
optimiser, moving averages), are split over `fsdp`, over `tensor` where their layer says so, and
copied over `data`; see models.placing.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from score_sde.models import placing
from score_sde.models.placing import BATCH, Split
from score_sde.training.options import OptionError

AXES = (*BATCH, "tensor")
Splits = Mapping[str, Split]
NOT_SPLIT: Splits = {}


def make_mesh(fsdp: int = 1, tensor: int = 1, section: str = "training") -> Mesh:
    """The mesh over all devices of all processes. The devices of a `tensor` group are neighbours.

    Args:
        fsdp: parts that the parameters are in.
        tensor: devices that share each example.
        section: of the config that says so, for the message.

    Raises:
        OptionError: if the devices cannot be divided so.
    """
    devices = jax.device_count()
    if devices % (fsdp * tensor):
        given = [
            f"{section}.{name}={size}"
            for name, size in (("fsdp", fsdp), ("tensor", tensor))
            if size > 1
        ]
        raise OptionError(f"{' x '.join(given)} must divide the number of devices, {devices}")
    shape = (devices // (fsdp * tensor), fsdp, tensor)
    return jax.make_mesh(shape, AXES, axis_types=(AxisType.Auto,) * len(AXES))


def check_tensor(mesh: Mesh, splits: Splits, section: str, network: str) -> None:
    """Raise OptionError unless the layers of a network can be divided over the axis `tensor`.

    Args:
        mesh: the mesh.
        splits: of the network, see models.functional.
        section: of the config that names the axis.
        network: its name, for the message.
    """
    tensor = mesh.shape["tensor"]
    if tensor > 1 and not splits:
        raise OptionError(
            f"{section}.tensor={tensor}: {network} has no layers that devices can share, as "
            f"transformers have: use {section}.fsdp"
        )
    if uneven := sorted({split.units for split in splits.values() if not split.fits(tensor)}):
        raise OptionError(
            f"{section}.tensor={tensor} must divide the heads and hidden features of {network}: "
            f"{', '.join(map(str, uneven))}"
        )


def groups(mesh: Mesh) -> int:
    """Parts that a batch is split into: devices, or groups of them that share their examples."""
    return mesh.size // mesh.shape["tensor"]


def check_batch(mesh: Mesh, name: str, batch: int, accumulate: int = 1) -> None:
    """Raise OptionError unless a batch can be divided evenly over the groups of devices.

    Args:
        mesh: the mesh.
        name: the option that the message blames.
        batch: the global batch size.
        accumulate: parts the batch is worked through in.
    """
    parts = groups(mesh) * accumulate
    if batch % parts:
        near = max(1, round(batch / parts)) * parts
        each = f"{groups(mesh)} devices" + (f" x {accumulate} parts" if accumulate > 1 else "")
        raise OptionError(f"{name}={batch} cannot be divided over {each}; try {name}={near}")


def rounded_up(mesh: Mesh, batch: int) -> int:
    """The smallest batch, of at least so many examples, that the groups of devices divide."""
    return -(-batch // groups(mesh)) * groups(mesh)


def batch_sharding(mesh: Mesh, leading: int = 0) -> NamedSharding:
    """Examples split over all devices, or over groups of `tensor` that share theirs.

    Args:
        mesh: the mesh.
        leading: axes before the batch axis, which are not split.
    """
    return NamedSharding(mesh, PartitionSpec(*(None,) * leading, BATCH))


def reader(mesh: Mesh) -> tuple[int, int]:
    """Which part of every batch this process reads, and of how many equal ones.

    Processes that share the devices of a `tensor` group read the same.

    Raises:
        OptionError: its devices have no equal part of neighbouring examples.
    """
    total = groups(mesh)
    devices = batch_sharding(mesh).addressable_devices_indices_map((total,))
    return part_of({index[0].indices(total)[0] for index in devices.values()}, total)


def part_of(rows: Set[int], total: int) -> tuple[int, int]:
    """Some of so many rows as (i, n): the i-th of n equal parts; see `reader`."""
    first, count = min(rows), len(rows)
    if max(rows) - first >= count or first % count or total % count:
        raise OptionError(
            "training.fsdp, training.tensor: the devices of a process must have neighbouring parts "
            "of a batch: choose numbers that divide its devices, or are multiples of them"
        )
    return first // count, total // count


def replicated(mesh: Mesh) -> NamedSharding:
    """The same on every device."""
    return NamedSharding(mesh, PartitionSpec())


def state_sharding(mesh: Mesh, shapes: Any, splits: Splits = NOT_SPLIT) -> Any:
    """The sharding of each array of a training state, or of the arrays of a network.

    Args:
        mesh: the mesh.
        shapes: pytree of arrays or jax.ShapeDtypeStruct. What lies in it under the path of an array
            of the network is split as that is.
        splits: of the network, see models.functional.

    Returns:
        The same pytree of NamedSharding.
    """

    def one(path: tuple[Any, ...], array: jax.ShapeDtypeStruct) -> NamedSharding:
        names = [getattr(part, "key", None) for part in path]
        split = next((splits[name] for name in names if name in splits), None)
        return NamedSharding(mesh, placing.stored(mesh.shape, array.shape, split))

    return jax.tree_util.tree_map_with_path(one, shapes)


def placed(mesh: Mesh, array: np.ndarray, dtype: Any = None) -> jax.Array:
    """An array on a mesh, split over `fsdp`; no device is given all of it first.

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
    """A pytree of arrays that every process has, each as by `placed`; what lies there stays."""

    def one(array: Any) -> jax.Array:
        where = array.sharding if isinstance(array, jax.Array) else None
        if isinstance(where, NamedSharding) and where.mesh == mesh:
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
        whole = len(array) % groups(mesh)
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
    """A batch split over all devices, of any axis, for what each device computes by itself.

    Args:
        mesh: the mesh.
        batch: the same on every process, [batch, ...].
    """
    sharding = NamedSharding(mesh, PartitionSpec(AXES))
    return jax.make_array_from_callback(batch.shape, sharding, lambda index: batch[index])
