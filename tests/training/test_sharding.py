"""Batches that devices cannot share are refused, and arrays are split where they should be."""

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import AbstractMesh, AxisType

from score_sde.data import selection
from score_sde.models.placing import inputs, outputs
from score_sde.runs import build, recipes, train
from score_sde.training.options import OptionError
from score_sde.training.sharding import (
    AXES,
    check_batch,
    check_tensor,
    make_mesh,
    part_of,
    reader,
    rounded_up,
    state_sharding,
)


def mesh_of(data, fsdp, tensor=1):
    return AbstractMesh((data, fsdp, tensor), AXES, axis_types=(AxisType.Auto,) * 3)


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


def test_the_first_command_of_the_readme_can_be_on_many_devices():
    """Its held-out loss is of 250 examples at a time, which they do not divide."""
    config = recipes.get("digits_vp")
    experiment = build.experiment(config, selection.read(config.data).describe())
    for mesh in (mesh_of(8, 1), mesh_of(1, 64)):
        train.check(experiment, mesh)


def test_a_batch_is_rounded_up_to_what_the_groups_divide():
    assert [rounded_up(mesh_of(*mesh), 250) for mesh in ((1, 1), (8, 1), (1, 64))] == [
        250,
        256,
        256,
    ]
    assert rounded_up(mesh_of(2, 2, 2), 250) == 252


def test_fsdp_must_divide_the_devices():
    with pytest.raises(OptionError, match=r"training\.fsdp=3 must divide the number of devices, 1"):
        make_mesh(3)
    assert dict(make_mesh().shape) == {"data": 1, "fsdp": 1, "tensor": 1}


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


def test_a_group_of_devices_that_share_examples_counts_once():
    check_batch(mesh_of(2, 2, 2), "batch", 12)
    with pytest.raises(OptionError, match="batch=6 cannot be divided over 4 devices"):
        check_batch(mesh_of(2, 2, 2), "batch", 6)


def test_layers_are_split_by_heads_and_hidden_features_wherever_they_lie():
    """Of a stack, of the optimiser's moments and averages; several parts by what goes in."""
    splits = {"qkv": outputs(4, parts=3), "first": outputs(256), "second": inputs(256)}
    shapes = {
        "qkv": jax.ShapeDtypeStruct((3, 64, 192), jnp.float32),
        "first": jax.ShapeDtypeStruct((64, 256), jnp.float32),
        "second": jax.ShapeDtypeStruct((256, 64), jnp.float32),
        "other": jax.ShapeDtypeStruct((64, 64), jnp.float32),
    }
    found = state_sharding(mesh_of(2, 2, 2), {"ema": {"0.9": shapes}, "mu": shapes}, splits)
    for specs in (found["ema"]["0.9"], found["mu"]):
        assert specs["qkv"].spec == jax.P(None, "tensor", "fsdp")
        assert specs["first"].spec == jax.P("fsdp", "tensor")
        assert specs["second"].spec == jax.P("tensor", "fsdp")
        assert specs["other"].spec == jax.P(None, "fsdp")
    three = state_sharding(mesh_of(1, 1, 3), shapes, splits)  # 4 heads stay whole
    assert three["qkv"].spec == jax.P()


def test_layers_that_cannot_be_shared_are_refused():
    check_tensor(mesh_of(1, 1, 2), {"a": outputs(4)}, "config.training", "dit")
    check_tensor(mesh_of(2, 4, 1), {}, "config.training", "unet")
    with pytest.raises(OptionError, match=r"training\.tensor=2: unet has no layers that"):
        check_tensor(mesh_of(1, 1, 2), {}, "config.training", "unet")
    with pytest.raises(OptionError, match="must divide the heads and hidden features of dit: 6, 9"):
        check_tensor(
            mesh_of(1, 1, 4),
            {"a": outputs(9), "b": inputs(6), "c": outputs(8)},
            "config.training",
            "dit",
        )


def test_a_process_reads_the_rows_of_its_devices():
    assert reader(make_mesh()) == (0, 1)
    assert part_of({4, 5, 6, 7}, 16) == (1, 4)
    assert part_of({3}, 4) == (3, 4)  # as other processes of its tensor group do
    for scattered in ({0, 2}, {1, 2}, {0, 1, 2}):
        with pytest.raises(OptionError, match="neighbouring parts"):
            part_of(scattered, 4)
