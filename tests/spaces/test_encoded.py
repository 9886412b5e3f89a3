"""Latents that were encoded once: states as of images, and what is left of a mean alone."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from score_sde import fields
from score_sde.autoencoder import Gaussian
from score_sde.data import arrays
from score_sde.spaces import Encoded

OPTIONS = {"factor": 4, "scale": (0.5, 2.0), "shift": (0.25,), "sample": True}
RNG = np.random.default_rng(0)
MEAN = RNG.standard_normal((5, 3, 2, 2)).astype(np.float32)
STD = np.exp(RNG.standard_normal(MEAN.shape)).astype(np.float32)


def test_each_draw_is_that_of_the_encoder():
    """With the same key; and without one, or of a mean alone, its mean. Scale and shift follow."""
    key, scale = jax.random.key(1), np.array([0.5, 2.0])
    both, mean = (
        Encoded.of(field, **OPTIONS)
        for field in (fields.gaussian((3, 2, 2)), fields.latent((3, 2, 2)))
    )
    assert both.shape == mean.shape == (3, 2, 2)
    assert both.image == (12, 8)
    examples = jnp.concatenate([MEAN, STD], axis=-1)
    z = np.asarray(Gaussian(jnp.asarray(MEAN), 2 * jnp.log(STD)).draw(key))
    np.testing.assert_allclose(both.encode(examples, key), scale * (z - 0.25), rtol=1e-5)
    expected = scale * (MEAN - 0.25)
    np.testing.assert_allclose(both.encode(examples), expected, rtol=1e-5)
    np.testing.assert_allclose(mean.encode(jnp.asarray(MEAN), key), expected, rtol=1e-5)


def test_what_is_measured_counts_the_deviation_where_latents_are_drawn():
    """Var z = Var m + E s^2, or Var m."""
    examples = {"latent": np.concatenate([MEAN, STD], axis=-1)}
    described = (fields.gaussian((3, 2, 2)),)
    source = arrays.source({"train": examples}, fields=described)
    options = OPTIONS | {"scale": (), "shift": ()}

    @jax.tree_util.register_dataclass
    @dataclasses.dataclass(frozen=True)
    class Whole(Encoded):  # of whose autoencoder nothing is asked
        def _check_part(self):
            pass

    for sample, more in ((True, np.mean(STD.astype(float) ** 2)), (False, 0)):
        plain = Whole.of(described[0], **options | {"sample": sample})
        made = plain.fitted(source, "latent")
        expected = 1 / np.sqrt(np.var(MEAN.astype(float)) + more)
        np.testing.assert_allclose(made.states["scale"], [expected], rtol=1e-5)
        np.testing.assert_allclose(made.states["shift"], [MEAN.mean()], rtol=1e-4)
