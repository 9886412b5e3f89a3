"""Embeddings of the noise level."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from score_sde.models.embeddings import (
    NoiseEmbedding,
    check_label,
    cosines_first,
    fourier,
    positional,
    with_fourier_features,
)


def test_fourier_features_of_levels_stand_beside_a_state(x64):
    """Of 17 levels in [-1, 1], 2^4 pi is a period a level, and 2^3 pi one of two levels."""
    levels = jnp.linspace(-1, 1, 17)[:, None]
    out = with_fourier_features(levels + 0.01, (3, 4))
    assert out.shape == (17, 5)
    np.testing.assert_allclose(out[:, 0], levels[:, 0] + 0.01, rtol=1e-14)
    np.testing.assert_allclose(out[:, 2], np.sin(0.16 * np.pi), rtol=1e-10)
    np.testing.assert_allclose(out[:, 4], np.cos(0.16 * np.pi), rtol=1e-10)
    signs = (-1.0) ** np.arange(17)
    np.testing.assert_allclose(out[:, 1], signs * np.sin(0.08 * np.pi), rtol=1e-10)
    np.testing.assert_allclose(out[:, 3], signs * np.cos(0.08 * np.pi), rtol=1e-10)
    assert with_fourier_features(levels, ()) is levels


def test_positional_frequencies_go_from_one_to_one_ten_thousandth(x64):
    out = positional(jnp.array([3.0, 500.0]), 9)
    assert out.shape == (2, 9)
    frequencies = 1e-4 ** (np.arange(4) / 3)
    np.testing.assert_allclose(out[1, :4], np.sin(500 * frequencies), rtol=1e-10)
    np.testing.assert_allclose(out[1, 4:8], np.cos(500 * frequencies), rtol=1e-10)
    np.testing.assert_array_equal(out[:, 8], 0)


def test_cosines_first_have_a_frequency_less(x64):
    """Those of guided-diffusion go from 1 to just above one ten-thousandth."""
    out = cosines_first(jnp.array([500.0]), 9)
    frequencies = 1e-4 ** (np.arange(4) / 4)
    np.testing.assert_allclose(out[0, :4], np.cos(500 * frequencies), rtol=1e-10)
    np.testing.assert_allclose(out[0, 4:8], np.sin(500 * frequencies), rtol=1e-10)
    assert out[0, 8] == 0


def test_cosines_first_may_have_the_frequencies_of_positional(x64):
    """The same numbers, cosines before sines."""
    label = jnp.array([500.0])
    sines, cosines = jnp.split(positional(label, 8), 2, axis=1)
    expected = jnp.concatenate([cosines, sines], axis=1)
    np.testing.assert_allclose(cosines_first(label, 8, closed=True), expected, rtol=1e-10)


@pytest.mark.parametrize(
    ("label", "scaled", "message"),
    [
        ("time", False, "embedding=fourier_label is of a logarithm itself: use noise_label=log_s"),
        ("log_sigma", True, "scale_by_sigma divides by the noise label: use embedding=fourier"),
    ],
)
def test_fourier_features_of_the_label_itself_want_a_logarithm(label, scaled, message):
    with pytest.raises(ValueError, match=message):
        check_label(label, "fourier_label", True, scaled)
    for right in (None, "log_sigma", "log_half_sigma"):
        check_label(right, "fourier_label", True, False)


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
