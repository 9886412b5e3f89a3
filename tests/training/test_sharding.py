"""Batches that devices cannot share are refused, and arrays are split where they should be."""

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import AbstractMesh, AxisType

from score_sde.training.options import OptionError
from score_sde.training.sharding import check_batch, make_mesh, state_sharding


def mesh_of(data, fsdp):
    return AbstractMesh((data, fsdp), ("data", "fsdp"), axis_types=(AxisType.Auto,) * 2)


def test_a_batch_must_divide(x64):
    check_batch(mesh_of(4, 2), "batch", 64)
    with pytest.raises(
        OptionError, match="batch=100 cannot be divided over 8 devices; try batch=96"
    ):
        check_batch(mesh_of(4, 2), "batch", 100)
    with pytest.raises(OptionError, match="over 8 devices x 3 parts; try batch=72"):
        check_batch(mesh_of(4, 2), "batch", 64, accumulate=3)
    with pytest.raises(OptionError, match="try batch=8"):
        check_batch(mesh_of(4, 2), "batch", 1)


def test_fsdp_must_divide_the_devices():
    with pytest.raises(OptionError, match=r"training\.fsdp=3 must divide the number of devices, 1"):
        make_mesh(3)
    assert dict(make_mesh().shape) == {"data": 1, "fsdp": 1}


def test_large_arrays_are_split_and_small_ones_are_not():
    shapes = {
        "kernel": jax.ShapeDtypeStruct((3, 3, 256, 256), jnp.float32),
        "odd": jax.ShapeDtypeStruct((512, 255), jnp.float32),
        "bias": jax.ShapeDtypeStruct((256,), jnp.float32),
        "step": jax.ShapeDtypeStruct((), jnp.int32),
    }
    specs = {k: s.spec for k, s in state_sharding(mesh_of(2, 4), shapes).items()}
    assert specs["kernel"] == jax.P(None, None, None, "fsdp")
    assert specs["odd"] == jax.P("fsdp", None)
    assert specs["bias"] == specs["step"] == jax.P()
    assert all(s.spec == jax.P() for s in state_sharding(mesh_of(8, 1), shapes).values())
