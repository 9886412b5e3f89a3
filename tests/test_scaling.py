"""The cost model of steps on many chips: volumes and times that are worked out by hand."""

import types

import jax
import jax.numpy as jnp
import pytest

from experiments.scaling import model, volumes
from experiments.scaling.__main__ import limits, predicted
from experiments.scaling.cases import Case
from experiments.scaling.chips import H100, V5P
from score_sde.models.placing import inputs, outputs

SPLITS = {"first": outputs(8), "second": inputs(8)}
DEPTH, WIDTH, HIDDEN = 3, 64, 256
KERNEL = 2 * DEPTH * WIDTH * HIDDEN  # bytes, of what layers cast; the bias has four each


def network(splits=SPLITS, bias=WIDTH):
    """Two stacked layers, a bias."""
    sizes = {"first": (DEPTH, WIDTH, HIDDEN), "second": (DEPTH, HIDDEN, WIDTH), "bias": (bias,)}
    shapes = {path: jax.ShapeDtypeStruct(size, jnp.float32) for path, size in sizes.items()}
    layers = {"first", "second"}
    return types.SimpleNamespace(shapes=(shapes, {}), splits=splits, stacked=layers, cast=layers)


def volume(data, fsdp, tensor, rows=10, width=2):
    axes = {"data": data, "fsdp": fsdp, "tensor": tensor}
    return volumes.of_step(network(), axes, rows, width)


def test_copies_reduce_the_gradient():
    found = volume(8, 1, 1)
    assert found.data == 2 * 7 / 8 * (2 * KERNEL + 4 * WIDTH)
    assert found.fsdp == found.tensor == 0


def test_shared_arrays_are_gathered_twice_and_their_gradients_scattered():
    found = volume(2, 4, 1)
    assert found.gathers == 2 * 3 / 4 * 2 * KERNEL
    assert found.scatters == 3 / 4 * 2 * KERNEL
    assert volume(2, 4, 1, width=4).gathers == 2 * found.gathers  # float32
    assert found.data == 2 * 1 / 2 * 2 * KERNEL / 4 + 2 * 7 / 8 * 4 * WIDTH  # the bias: all eight
    assert found.tensor == 0


def test_shared_layers_sum_activations_and_reduce_their_part_of_the_gradient():
    found = volume(4, 1, 2)
    assert found.activations == DEPTH * 4 * 1 / 2 * 10 * WIDTH * 2
    assert found.heads == 0  # no kernel of several parts
    assert found.data == 2 * 3 / 4 * (2 * KERNEL / 2 + 4 * WIDTH)


def case(flops=1e12, splits=SPLITS, bias=WIDTH, batch=256):
    return Case("made", batch, network(splits, bias), flops, tokens=16, copies=4)


def test_a_step_is_products_or_what_they_hide_and_what_they_wait_for():
    mesh = model.Mesh(2, 4, 2)
    found = model.step(case(), H100, mesh, 64)
    assert found.products == pytest.approx(64e12 / (16 * 0.5 * 989e12))
    sent = volumes.of_step(network(), {"data": 2, "fsdp": 4, "tensor": 2}, 16 * 64 // 8, 2)
    assert found.fsdp == sent.fsdp / 450e9  # eight neighbours
    assert found.data == sent.data / 50e9
    assert found.seconds == found.products + found.tensor + found.state
    slow = model.step(case(flops=1.0), H100, mesh, 64)
    assert slow.seconds == slow.fsdp + slow.data + slow.tensor + slow.state


def test_the_fastest_mesh_is_one_that_fits_and_divides_the_batch():
    assert model.best(case(splits={}), H100, 8, 4) is None  # half of the chips had nothing to do
    assert model.best(case(), H100, 8, 4).mesh.tensor >= 2
    large = case(bias=10**10)  # 200 GB of state
    assert model.best(large, V5P, 8, 64).mesh.fsdp >= 4
    assert model.best(large, V5P, 1, 64) is None


def test_tables_have_a_row_for_each_chip_and_size():
    assert len(predicted([case(batch=128)]).splitlines()) == 2 + 2 * 3 * 2
    assert "| made | H100 | 4,096 |" in predicted([case(splits={})])
    assert len(limits([case()]).splitlines()) == 2 + 2
