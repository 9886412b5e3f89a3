"""Embeddings of noise level and class."""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from score_sde.models.embeddings import ClassEmbedding, NoiseEmbedding, fourier, positional


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


def class_embedding(label_dropout):
    return ClassEmbedding(
        10, 8, label_dropout=label_dropout, param_dtype=jnp.float32, rngs=nnx.Rngs(0)
    )


def test_no_class_is_the_last_row():
    embed = class_embedding(0.0)
    table = embed.table[...]
    np.testing.assert_array_equal(embed(None, 3, None), table[jnp.array([10, 10, 10])])
    np.testing.assert_array_equal(embed(jnp.array([10, 4]), 2, None), table[jnp.array([10, 4])])


def test_labels_are_dropped_at_their_rate_and_only_with_a_key():
    embed, label = class_embedding(0.2), jnp.full(20000, 3)
    assert (embed(label, 20000, None) == embed.table[...][3][None]).all()
    dropped = (embed(label, 20000, jax.random.key(0)) == embed.table[...][10][None]).all(axis=1)
    assert abs(float(dropped.mean()) - 0.2) < 4 * np.sqrt(0.2 * 0.8 / 20000)
