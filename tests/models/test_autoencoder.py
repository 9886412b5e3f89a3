"""The autoencoder of latent diffusion; its numbers are in tests/interop/components."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from filled import filled, quick_jit

from score_sde.models.autoencoder import Autoencoder
from score_sde.models.functional import functional

pytestmark = pytest.mark.slow

SMALL = {"widths": (4, 8), "num_res_blocks": 1, "groups": 2, "latent_channels": 3}


@functools.cache
def made(**options):
    return functional(lambda rngs: Autoencoder(**SMALL | options, rngs=rngs))


@pytest.fixture(scope="module")
def small():
    """The model, and what it gives of its initial numbers."""
    model = made(image_channels=2)

    def both(images):
        arrays = model.init(jax.random.key(0))
        mean, logvar = model.apply(*arrays, images, method="encode")
        return mean, logvar, model.apply(*arrays, mean, method="decode")

    images = jax.random.normal(jax.random.key(1), (2, 8, 12, 2))
    return model, images, quick_jit(both)(images)


def test_shapes(small):
    """Latents are half as large for two levels, images as they were."""
    _, images, (mean, logvar, decoded) = small
    assert mean.shape == logvar.shape == (2, 4, 6, 3)
    assert decoded.shape == images.shape


def test_it_begins_with_numbers_of_usual_size(small):
    """So that it can be trained: nothing vanishes, nothing explodes."""
    for array in small[2]:
        assert 0.1 < float(jnp.std(array)) < 5


def test_log_variances_are_kept_from_what_exp_cannot_take():
    """Of weights that would give thousands."""
    model = made()
    params, constants = filled(model)
    params["quant/bias"] = params["quant/bias"] + jnp.array([0, 0, 0, 1e4, -1e4, 0])
    image = jnp.zeros((1, 2, 2, 3))
    encode = quick_jit(lambda params: model.apply(params, constants, image, method="encode"))
    _, logvar = encode(params)
    np.testing.assert_array_equal(logvar[0, 0, 0, :2], [20, -30])


def test_what_is_left_out_has_no_arrays():
    """The layers of each pixel, and attention."""
    has = {k.split("/")[0] for k in made().shapes[0]}
    assert has == {"encoder", "decoder", "quant", "post_quant"}
    less = made(quant=False, post_quant=False, middle_attention=False).shapes[0]
    assert {k.split("/")[0] for k in less} == {"encoder", "decoder"}
    assert not any("attentions" in k for k in less)


def test_it_computes_in_half_precision_and_answers_in_float32():
    """With the arrays in either."""
    model = made(dtype=jnp.bfloat16, param_dtype=jnp.bfloat16, remat=True)
    images = jax.ShapeDtypeStruct((1, 4, 4, 3), jnp.float32)
    mean, _ = jax.eval_shape(lambda *a: model.apply(*a, method="encode"), *model.shapes, images)
    assert mean.dtype == jnp.float32
    assert {a.dtype for a in model.shapes[0].values()} == {jnp.dtype(jnp.bfloat16)}


def test_images_of_wrong_shape_are_refused():
    """With the sides that would do."""
    model = made()
    for shape, method, message in (
        ((1, 4, 5, 3), "encode", "4 x 5 pixels: both sides must be multiples of 2"),
        ((1, 4, 4, 1), "encode", r"images are \(1, 4, 4, 1\)"),
        ((1, 4, 4, 4), "decode", r"latents are \(1, 4, 4, 4\)"),
    ):
        x = jax.ShapeDtypeStruct(shape, jnp.float32)
        with pytest.raises(ValueError, match=message):
            jax.eval_shape(lambda *a, m=method: model.apply(*a, method=m), *model.shapes, x)
    with pytest.raises(ValueError, match="4 channels cannot be divided into 3 groups"):
        made(groups=3)
