"""Images as latents of an autoencoder: scaled, drawn or not, and back."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from score_sde import fields, parts
from score_sde.spaces import Autoencoded

OPTIONS = {"widths": (8, 16), "groups": 4, "num_res_blocks": 1, "latent_channels": 2}


@pytest.fixture(scope="module")
def space():
    network = parts.made("autoencoder", OPTIONS)
    part = parts.Part(network.apply, *network.init(jax.random.key(0)))
    made = Autoencoded.of(
        fields.image((8, 12, 3)),
        **{"autoencoder": "", "channels": 2, "factor": 2, "sample": True},
        scale=(0.5, 2.0),
        shift=(0.25,),
    )
    return made.with_parts({"autoencoder": part})


def test_states_are_scaled_latents(space):
    """scale (z - shift) with z the mean, or mean + std e with a key; decode goes back."""
    images = jax.random.randint(jax.random.key(1), (3, 8, 12, 3), 0, 256).astype(jnp.uint8)
    found = space.part(images / 127.5 - 1, method="encode")
    mean, log_variance = (np.asarray(part) for part in found)
    x = np.asarray(space.encode(images))
    assert x.shape == (3, *space.shape) == (3, 4, 6, 2)
    scale = np.array([0.5, 2.0])
    np.testing.assert_allclose(x, scale * (mean - 0.25), atol=1e-5)
    drawn = space.encode(images, jax.random.key(2))
    e = (np.asarray(drawn) / scale + 0.25 - mean) / np.exp(0.5 * log_variance)
    assert abs(e.mean()) < 4 / np.sqrt(e.size)
    assert abs(e.var() - 1) < 4 * np.sqrt(2 / e.size)
    out = space.part(jnp.asarray(x / scale + 0.25, jnp.float32), method="decode")
    np.testing.assert_allclose(space.images(jnp.asarray(x)), out, atol=1e-5)
    assert space.decode(jnp.asarray(x)).dtype == jnp.uint8


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
    options = {"autoencoder": "", "channels": 2, "factor": 2, "sample": True}
    with pytest.raises(ValueError, match=message):
        Autoencoded.of(
            fields.image((8, 12, 3)), **{**options, "scale": (1.0,), "shift": (0.0,), **change}
        )
