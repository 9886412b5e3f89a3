"""Latents: a linear map, channel by channel, and its density."""

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from score_sde import data, fields, spaces
from score_sde.data import arrays

SCALE, BIAS = (2.0, 0.5), (1.0, -3.0)


def made(**options):
    section = {"scale": SCALE, "bias": BIAS} | options
    return spaces.read({"name": "latents", "latents": section}, fields.latent((3, 4, 2)))


def test_encode_is_linear_and_decode_its_inverse():
    """The log volume is that of 12 pixels, each times 2 and 0.5: zero. With 2 alone, 24 log 2."""
    z = np.arange(48, dtype=np.float32).reshape(2, 3, 4, 2)
    x = made().encode(jnp.asarray(z))
    np.testing.assert_allclose(x, z * np.array(SCALE) + np.array(BIAS), rtol=1e-6)
    np.testing.assert_allclose(made().decode(x), z, rtol=1e-5)
    np.testing.assert_allclose(made().log_volume(jnp.asarray(z)), [0, 0], atol=1e-6)
    one = made(scale=(2.0,), bias=(0.0,))
    np.testing.assert_allclose(one.log_volume(jnp.asarray(z)), [24 * np.log(2)] * 2, rtol=1e-6)


def test_numbers_that_are_not_those_of_the_channels_are_refused():
    with pytest.raises(ValueError, match=r"latents.scale has 3 numbers: give 1, or one for each"):
        made(scale=(1.0, 2.0, 3.0))
    with pytest.raises(ValueError, match=r"scale"):
        made(scale=(0.0, 1.0))


def test_arrays_that_are_named_so_are_latents(tmp_path):
    """An image of floats stays a mistake."""
    z = np.zeros((20, 3, 4, 2), np.float32)
    info = arrays.source({"latent": z, "label": np.arange(20) % 2}).info
    assert info["latent"] == fields.latent((3, 4, 2))
    with pytest.raises(data.DataError, match="an image is uint8"):
        arrays.source({"image": z})


def test_they_are_saved_as_numbers_and_shown_as_a_picture(tmp_path):
    z = np.random.default_rng(0).standard_normal((4, 3, 4, 2)).astype(np.float32)
    made().save(tmp_path, [str(n) for n in range(len(z))], z)
    np.testing.assert_array_equal(np.load(tmp_path / "1.npy"), z[1])
    made().show(tmp_path / "all.png", z)
    assert Image.open(tmp_path / "all.png").size == made().corner(2)
