"""Pixels <-> model inputs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from score_sde.spaces import levels as of_levels
from score_sde.spaces.levels import dequantize, from_model, middles, nearest, random_flip, to_model

pytestmark = pytest.mark.slow

KEY = jax.random.key(0)


def pixels(levels):
    """Every pixel value of a set, as one image."""
    values = np.round(np.arange(levels) * 255 / (levels - 1)).astype(np.uint8)
    return jnp.array(values.reshape(1, 1, levels, 1))


@pytest.mark.parametrize("centered", [True, False])
@pytest.mark.parametrize(
    ("levels", "dtype"),
    # bfloat16 has 8 bits: too few to hold 256 levels over [-1, 1].
    [(17, jnp.float32), (256, jnp.float32), (17, jnp.bfloat16)],
)
def test_from_model_inverts_to_model(centered, levels, dtype):
    x = to_model(pixels(levels), centered, dtype)
    assert x.dtype == dtype
    assert (x.min(), x.max()) == ((-1, 1) if centered else (0, 1))
    assert jnp.array_equal(from_model(x, centered, levels), pixels(levels))


def test_from_model_rounds_to_the_nearest_level_and_clips():
    x = jnp.array([-0.3, 0.49 / 16, 0.51 / 16, 1.2])
    assert from_model(x, False, 17).tolist() == [0, 0, 16, 255]
    assert from_model(2 * x - 1, True, 17).tolist() == [0, 0, 16, 255]


def test_the_nearest_level_of_any_pixel():
    """Of all pixels, no other level is nearer; those that are levels stay."""
    pixels = np.arange(256, dtype=np.uint8)
    for levels in (2, 17, 256):
        found, there = nearest(pixels, levels), of_levels.pixels(levels)
        distance = np.abs(pixels[:, None].astype(float) - there)
        assert (np.abs(found - pixels.astype(float)) <= distance.min(1) + 1).all()
        np.testing.assert_array_equal(nearest(there.astype(np.uint8), levels), there)


@pytest.mark.parametrize("levels", [17, 256])
def test_dequantised_values_fill_the_bin_of_their_level(levels):
    images = jnp.tile(pixels(levels), (2000, 1, 1, 1))
    x = dequantize(KEY, images, levels, centered=False)
    u = np.asarray(x, np.float64)[:, 0, :, 0] * levels - np.arange(levels)
    assert u.min() >= 0
    assert u.max() < 1
    # Uniform: mean 1/2 and variance 1/12 within 5 standard errors over 2000 * levels draws.
    draws = u.size
    assert abs(u.mean() - 1 / 2) < 5 * np.sqrt(1 / 12 / draws)
    assert abs(u.var() - 1 / 12) < 5 * np.sqrt((1 / 80 - 1 / 144) / draws)
    centred = dequantize(KEY, images, levels, centered=True)
    assert jnp.allclose(centred, 2 * x - 1)


@pytest.mark.parametrize("centered", [True, False])
@pytest.mark.parametrize("levels", [17, 256])
def test_from_model_inverts_dequantize_whatever_the_noise(levels, centered):
    images = jnp.tile(pixels(levels), (2000, 1, 1, 1))
    x = dequantize(KEY, images, levels, centered)
    wrong = from_model(x, centered, levels, dequantized=True) != images
    assert wrong.mean() < 1e-3  # float32 rounds a few over the edge of their level
    ends = jnp.array([-1.5, 1.5])
    assert from_model(ends, centered, levels, dequantized=True).tolist() == [0, 255]


@pytest.mark.parametrize("centered", [True, False])
@pytest.mark.parametrize("levels", [17, 256])
def test_the_middle_of_a_level_is_the_mean_of_its_dequantised_values(levels, centered):
    middle = middles(pixels(levels), levels, centered)
    assert jnp.array_equal(from_model(middle, centered, levels, True), pixels(levels))
    x = dequantize(KEY, jnp.tile(pixels(levels), (2000, 1, 1, 1)), levels, centered)
    error = (2 if centered else 1) / levels * np.sqrt(1 / 12 / 2000)
    np.testing.assert_allclose(x.mean(0)[None], middle, atol=5 * error)


def test_dequantised_white_stays_below_one(monkeypatch):
    nearly_one = np.float32(1 - 2**-24)
    monkeypatch.setattr(jax.random, "uniform", lambda k, shape, dtype: jnp.full(shape, nearly_one))
    x = dequantize(KEY, pixels(256), 256, centered=False)
    assert jnp.array_equal(jnp.floor(x * 256), jnp.arange(256.0).reshape(1, 1, 256, 1))


def test_dequantize_in_float64(x64):
    x = dequantize(KEY, pixels(17), 17, centered=True, dtype=jnp.float64)
    assert x.dtype == jnp.float64


def test_half_of_the_images_are_mirrored_left_to_right():
    x = jnp.tile(jnp.arange(12.0).reshape(1, 2, 3, 2), (4000, 1, 1, 1))
    y = random_flip(KEY, x)
    mirrored = np.asarray((y == x[:, :, ::-1]).all((1, 2, 3)))
    assert np.array_equal(~mirrored, (y == x).all((1, 2, 3)))
    assert abs(mirrored.mean() - 1 / 2) < 5 * np.sqrt(1 / 4 / 4000)


@pytest.mark.parametrize("draw", ["flip", "dequantize"])
def test_example_i_depends_on_key_and_i_only(draw):
    images = jax.random.randint(KEY, (64, 4, 4, 1), 0, 256).astype(jnp.uint8)

    def apply(x):
        if draw == "flip":
            return random_flip(KEY, x)
        return dequantize(KEY, x, 256, centered=False)

    assert jnp.array_equal(apply(images)[:8], apply(images[:8]))
    other = images.at[8:].set(0)
    assert jnp.array_equal(apply(images)[:8], apply(other)[:8])
