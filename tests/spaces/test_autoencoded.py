"""Images as latents of an autoencoder: scaled, drawn or not, and back."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from filled import quick_jit

from score_sde import fields, parts
from score_sde.data import arrays
from score_sde.errors import UserError
from score_sde.spaces import Autoencoded

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quick_compile")]

OPTIONS = {"widths": (8, 16), "groups": 4, "num_res_blocks": 1, "latent_channels": 2}
OF = {"autoencoder": "", "channels": 2, "factor": 2, "sample": True}


@pytest.fixture(scope="module")
def space():
    network = parts.made("autoencoder", OPTIONS)
    part = parts.Part(network.apply, *quick_jit(network.init)(jax.random.key(0)))
    made = Autoencoded.of(
        fields.image((8, 12, 3)),
        **OF,
        scale=(0.5, 2.0),
        shift=(0.25,),
    )
    return made.with_parts({"autoencoder": part})


def test_states_are_scaled_latents(space):
    """scale (z - shift) with z the mean, or mean + std e with a key; decode goes back."""
    images = np.random.default_rng(0).integers(0, 256, (3, 8, 12, 3)).astype(np.uint8)
    scale = np.array([0.5, 2.0], np.float32)

    @quick_jit
    def run(space, images, key):
        found = space.part(images / 127.5 - 1, method="encode")
        x = space.encode(images)
        out = space.part(x / scale[None, None, None] + 0.25, method="decode")
        return found, x, space.encode(images, key), out, space.images(x), space.decode(x)

    found = jax.tree.map(np.asarray, run(space, images, jax.random.key(2)))
    (mean, log_variance), x, drawn, out, shown, decoded = found
    assert x.shape == (3, *space.shape) == (3, 4, 6, 2)
    np.testing.assert_allclose(x, scale * (mean - 0.25), atol=1e-5)
    e = (drawn / scale + 0.25 - mean) / np.exp(0.5 * log_variance)
    assert abs(e.mean()) < 4 / np.sqrt(e.size)
    assert abs(e.var() - 1) < 4 * np.sqrt(2 / e.size)
    np.testing.assert_allclose(shown, out, atol=1e-5)
    assert decoded.dtype == np.uint8


def test_it_is_a_pytree_of_the_autoencoder_alone(space):
    """Its arrays are arguments of what is compiled."""
    leaves = jax.tree.leaves(space)
    assert len(leaves) == len(space.part.params) + len(space.part.constants)
    x = jnp.zeros((1, *space.shape))
    np.testing.assert_array_equal(jax.jit(lambda s: s.decode(x))(space), space.decode(x))


@pytest.mark.parametrize(
    ("change", "message"),
    [({"factor": 5}, "multiples of it"), ({"scale": (1.0, 2.0, 3.0)}, "scale has 3 numbers")],
)
def test_what_cannot_be_is_said(change, message):
    with pytest.raises(ValueError, match=message):
        Autoencoded.of(
            fields.image((8, 12, 3)), **{**OF, "scale": (1.0,), "shift": (0.0,), **change}
        )


@pytest.mark.parametrize(("sample", "per_channel"), [(False, False), (True, True)])
def test_measured_latents_have_mean_0_and_deviation_1(space, per_channel, sample):
    """As they are drawn in training, within 4 standard errors of 32 draws of each; or their mean.

    What is measured is recorded, and a space with the record is the same.
    """
    images = np.random.default_rng(0).integers(0, 256, size=(6, 8, 12, 3), dtype=np.uint8)
    source = arrays.source({"train": {"image": images}})
    plain = Autoencoded.of(
        source.info["image"],
        **OF | {"per_channel": per_channel, "sample": sample},
        scale=(),
        shift=(),
    ).with_parts({"autoencoder": space.part})
    made = plain.fitted(source, "image")
    repeated = np.tile(images, (32 if sample else 1, 1, 1, 1))
    encode = quick_jit(lambda space, images: space.encode(images, jax.random.key(0)))
    x = np.asarray(encode(made, repeated), np.float64)
    axes = (0, 1, 2) if per_channel else None
    slack = 4 * np.sqrt(2 / (x.size / 2)) if sample else 1e-4
    np.testing.assert_allclose(x.mean(axes), 0, atol=slack)
    np.testing.assert_allclose(x.std(axes), 1, atol=slack)
    again = plain.with_arrays(made.arrays())
    assert again.states == made.states
    assert len(made.states["scale"]) == (2 if per_channel else 1)


def test_the_density_of_states_becomes_that_of_latents(space):
    """By the scale of each channel, over all of their places."""
    images = jnp.zeros((3, 8, 12, 3), jnp.uint8)
    made = dataclasses.replace(space, scale=(0.5, 3.0))
    expected = 24 * (np.log(0.5) + np.log(3.0))
    np.testing.assert_allclose(made.log_volume(images), expected, rtol=1e-6)


def test_another_autoencoder_is_refused(space):
    """With the options that would do."""
    made = Autoencoded.of(
        fields.image((8, 12, 3)), **{**OF, "factor": 4, "scale": (), "shift": ()}
    ).with_parts({"autoencoder": space.part})
    source = arrays.source({"train": {"image": np.zeros((1, 8, 12, 3), np.uint8)}})
    with pytest.raises(UserError, match=r"channels=2 --config.space.autoencoded.factor=2"):
        made.fitted(source, "image")
