"""Embeddings of the noise level."""

import jax.numpy as jnp
import numpy as np
from flax import nnx

from score_sde.models.embeddings import NoiseEmbedding, fourier, positional


def test_positional_frequencies_go_from_one_to_one_ten_thousandth(x64):
    out = positional(jnp.array([3.0, 500.0]), 9)
    assert out.shape == (2, 9)
    frequencies = 1e-4 ** (np.arange(4) / 3)
    np.testing.assert_allclose(out[1, :4], np.sin(500 * frequencies), rtol=1e-10)
    np.testing.assert_allclose(out[1, 4:8], np.cos(500 * frequencies), rtol=1e-10)
    np.testing.assert_array_equal(out[:, 8], 0)


def test_fourier_frequencies_are_in_cycles(x64):
    out = fourier(jnp.array([0.25]), jnp.array([1.0, 2.0]))
    np.testing.assert_allclose(out, [[1, 0, 0, -1]], atol=1e-12)


def test_fourier_embedding_is_of_the_logarithm():
    options = {"kind": "fourier", "fourier_scale": 16.0, "param_dtype": jnp.float32}
    embed = NoiseEmbedding(8, **options, rngs=nnx.Rngs(0))
    embed.frequencies[...] = jnp.arange(1.0, 9.0)
    # log sigma + 1 is a whole cycle of every frequency.
    a, b = embed(jnp.array([0.5])), embed(jnp.array([0.5 * np.e]))
    np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3)
