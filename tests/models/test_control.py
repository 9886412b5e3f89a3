"""A ControlNet beside a U-Net of ours, as a pure function."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from score_sde.fields import image
from score_sde.models.control import Control
from score_sde.models.dit import DiT
from score_sde.models.functional import functional
from score_sde.models.unet import UNet
from score_sde.models.video import VideoUNet
from score_sde.prediction import null_like

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quick_compile")]

SKETCH = image((8, 8, 1), name="sketch")
OPTIONS = {"channels": 8, "channel_mult": (1, 2), "num_res_blocks": 1, "attn_resolutions": (4,)}


def unet(rngs: nnx.Rngs) -> UNet:
    return UNet(shape=(8, 8, 3), init_scale=1.0, group_size=2, dropout=0.0, **OPTIONS, rngs=rngs)


BASE = functional(unet)


@pytest.fixture(scope="module")
def made():
    """A controlled network, its parameters and constants, and what it is called with."""
    network = Control("sketch", SKETCH).adapted(BASE)
    params, constants = network.init(jax.random.key(0))
    x = jax.random.normal(jax.random.key(1), (3, 8, 8, 3))
    sketch = jnp.asarray(np.random.default_rng(0).integers(1, 256, (3, 8, 8, 1)), jnp.uint8)
    return jax.jit(network.apply), params, constants, x, jnp.array([1.0, 30.0, 900.0]), sketch


def test_it_begins_as_the_network_bit_for_bit_and_as_a_copy_of_its_encoder(made):
    apply, params, constants, x, label, sketch = made
    base = BASE.init(jax.random.key(0))
    for path, array in (base[0] | base[1]).items():
        np.testing.assert_array_equal(constants[path], array)
    assert all(path.startswith("control/") for path in params)
    copies = {path: array for path, array in params.items() if path.startswith("control/copy/")}
    assert not any("/up/" in path or "/head/" in path for path in copies)
    assert {path.split("/")[2] for path in copies} == {
        "noise_embedding",
        "conv_in",
        "down",
        "middle",
    }
    for path, array in copies.items():
        np.testing.assert_array_equal(array, base[0][path.removeprefix("control/copy/")])
    steered, without = (
        apply(params, constants, x, label, {"sketch": given})
        for given in (sketch, jnp.zeros_like(sketch))
    )
    np.testing.assert_array_equal(steered, without)
    plain = jax.jit(BASE.apply)(*base, x, label)
    np.testing.assert_allclose(steered, plain, rtol=0, atol=1e-5)  # of another compilation


def test_what_is_learnt_follows_the_sketch_and_an_example_without_one_is_as_it_was(made):
    apply, params, constants, x, label, sketch = made
    learnt = jax.tree.map(lambda a: a + 0.1, params)
    plain = apply(params, constants, x, label)
    steered = apply(learnt, constants, x, label, {"sketch": sketch})
    other = apply(learnt, constants, x, label, {"sketch": sketch.at[0].set(255)})
    assert float(jnp.abs(steered - plain).min(axis=(1, 2, 3)).max()) > 0
    assert float(jnp.abs(other - steered)[0].max()) > 1e-3
    np.testing.assert_array_equal(other[1:], steered[1:])
    none = sketch.at[1].set(null_like(sketch)[1])
    mixed = apply(learnt, constants, x, label, {"sketch": none})
    np.testing.assert_allclose(mixed[1], plain[1], rtol=0, atol=1e-5)
    np.testing.assert_array_equal(mixed[::2], steered[::2])


def test_levels_of_an_image_are_from_zero_to_one(made):
    """The highest level is the same to the network, however many there are."""
    apply, params, constants, x, label, sketch = made
    few = Control("sketch", image((8, 8, 1), levels=17, name="sketch")).adapted(BASE)
    learnt = jax.tree.map(lambda a: a + 0.1, params)
    highest = {"sketch": jnp.full_like(sketch, 255)}
    one = apply(learnt, constants, x, label, highest)
    other = jax.jit(few.apply)(learnt, constants, x, label, {"sketch": jnp.full_like(sketch, 16)})
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)


def test_every_layer_that_is_zero_learns_at_once(made):
    apply, params, constants, x, label, sketch = made

    def loss(params):
        return jnp.mean(apply(params, constants, x, label, {"sketch": sketch}) ** 2)

    slopes = jax.grad(loss)(params)
    for path, slope in slopes.items():
        if path.startswith(("control/skips/", "control/middle/")):
            assert float(jnp.abs(slope).max()) > 0, path


def test_a_larger_image_is_brought_to_the_size_of_the_state():
    larger = image((16, 16, 3), name="sketch")
    network = Control("sketch", larger).adapted(BASE)
    x, sketch = jnp.zeros((2, 8, 8, 3)), jnp.ones((2, 16, 16, 3), jnp.uint8)
    shapes = network.shapes
    out = jax.eval_shape(network.apply, *shapes, x, jnp.ones(2), {"sketch": sketch})
    assert out.shape == x.shape


@pytest.mark.parametrize(
    ("field", "network", "message"),
    [
        (image((12, 12, 1), name="sketch"), BASE, "steers features of 8x8 if it is as large, or 2"),
        (image((4, 4, 1), name="sketch"), BASE, "steers features of 8x8"),
        (
            SKETCH,
            functional(lambda rngs: DiT(shape=(8, 8, 3), channels=8, depth=1, heads=1, rngs=rngs)),
            "is for the network unet",
        ),
        (
            SKETCH,
            functional(lambda rngs: VideoUNet(shape=(2, 8, 8, 3), **OPTIONS, rngs=rngs)),
            "is for the network unet",
        ),
    ],
)
def test_what_cannot_be_steered_is_said(field, network, message):
    with pytest.raises(ValueError, match=message):
        Control("sketch", field).adapted(network)
    shapes = Control("sketch", SKETCH).adapted(BASE).shapes
    with pytest.raises(ValueError, match="this sketch takes"):
        jax.eval_shape(
            Control("sketch", SKETCH).adapted(BASE).apply,
            *shapes,
            jnp.zeros((1, 8, 8, 3)),
            jnp.ones(1),
            {"sketch": jnp.ones((1, 8, 8, 3), jnp.uint8)},
        )
