"""The cost model of steps on many chips: volumes and times that are worked out by hand."""

import types

import jax
import jax.numpy as jnp
import pytest
from program import ROOT

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
    # Each of four copies and the gradient is read, and the copies are written.
    held = 4 * (2 * DEPTH * WIDTH * HIDDEN + WIDTH) * (4 + 1 + 4) / (4 * 2)
    assert found.state == pytest.approx(held / 3.35e12)
    assert found.seconds == found.products + found.tensor + found.state
    slow = model.step(case(flops=1.0), H100, mesh, 64)
    assert slow.seconds == slow.fsdp + slow.data + slow.tensor + slow.state


def test_an_axis_that_leaves_the_block_of_neighbours_has_the_network():
    """Its groups reach over those of the axes before it: 4 times 4 chips are more than 8."""
    found = model.step(case(), H100, model.Mesh(1, 4, 4), 64)
    sent = volumes.of_step(network(), {"data": 1, "fsdp": 4, "tensor": 4}, 16 * 64 // 4, 2)
    assert found.fsdp == sent.fsdp / 50e9
    assert found.tensor == sent.tensor / 450e9


def test_the_fewest_examples_hide_the_gradient_and_the_most_devices_their_sums():
    """Three examples would do, of powers of two four; a group of four devices, and not of eight."""
    rate, eight = 0.5 * 989e12, model.Mesh(8, 1, 1)
    gradient = volume(8, 1, 1).data / 450e9
    assert model.fewest(case(flops=rate * gradient / 3), H100, eight) == 4
    assert model.fewest(case(flops=rate * gradient / 4.1), H100, eight) == 8
    # Of t devices 4 (t - 1) times this are operations that take as long as four times the sums.
    once = rate * DEPTH * 4 * 16 * WIDTH * 2 / 450e9
    for flops, most in ((12.1, 4), (11.9, 2), (3.9, 1)):
        assert model.most_tensor(case(flops=flops * once), H100, each=8) == most


def test_the_fastest_mesh_is_one_that_fits_and_divides_the_batch():
    assert model.best(case(splits={}), H100, 8, 4) is None  # half of the chips had nothing to do
    assert model.best(case(), H100, 8, 4).mesh.tensor >= 2
    large = case(bias=10**10)  # 200 GB of state
    assert model.best(large, V5P, 8, 64).mesh.fsdp >= 4
    assert model.best(large, V5P, 1, 64) is None
    fits = [fsdp for fsdp in (1, 2, 4, 8) if model.fits(large, V5P, model.Mesh(1, fsdp, 1))]
    assert fits == [4, 8]  # 76 GB of each


def test_tables_have_a_row_for_each_chip_and_size():
    assert len(predicted([case(batch=128)]).splitlines()) == 2 + 2 * 3 * 2
    assert "| made | H100 | 4,096 |" in predicted([case(splits={})])
    assert len(limits([case()]).splitlines()) == 2 + 2


def test_the_page_shows_what_was_predicted():
    page = (ROOT / "docs" / "scaling.md").read_text()
    predicted = (ROOT / "experiments" / "scaling" / "results" / "steps.md").read_text()
    assert predicted in page
