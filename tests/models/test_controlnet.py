"""ControlNet; its numbers are in tests/interop/components."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from filled import filled, quick_jit

from score_sde.models.controlnet import ControlNet, weighted
from score_sde.models.cross_unet import CrossUNet
from score_sde.models.functional import functional

pytestmark = pytest.mark.slow

SMALL = {
    "widths": (4, 8),
    "num_res_blocks": 1,
    "transformer_depth": (0, 1),
    "heads": (1, 2),
    "text_features": 6,
    "groups": 2,
}


@functools.cache
def made(**options):
    own = {"channels": 2, "control_widths": (4, 4)}
    return functional(lambda rngs: ControlNet(**SMALL | own | options, rngs=rngs))


UNET = functional(lambda rngs: CrossUNet(**SMALL, shape=(8, 8, 2), rngs=rngs))


@pytest.fixture(scope="module")
def case():
    keys = jax.random.split(jax.random.key(0), 3)
    x = jax.random.normal(keys[0], (1, 4, 4, 2))
    control = jax.random.uniform(keys[1], (1, 8, 8, 3))
    return x, jnp.ones(1), {"text": jax.random.normal(keys[2], (1, 3, 6))}, control


def test_one_that_is_not_trained_changes_nothing(case):
    """Bit for bit: its last layers are zero, and so is its embedding of the image."""
    *call, control = case
    one_level = {"widths": (4,), "transformer_depth": (1,), "heads": (2,)}
    model = made(**one_level)
    unet = functional(lambda rngs: CrossUNet(**SMALL | one_level, shape=(4, 4, 2), rngs=rngs))
    params, constants = filled(model)
    last = ("hint/conv_out/", "skips/", "middle/")

    def first():
        params, _ = model.init(jax.random.key(0))
        return {k: v for k, v in params.items() if k.startswith(last)}

    params |= quick_jit(first)()

    def both(params, unet_arrays):
        hint = model.apply(params, constants, control, method="hint")
        added = model.apply(params, constants, *call, control)
        return hint, added, [unet.apply(*unet_arrays, *call, added=a) for a in (None, added)]

    hint, added, (plain, controlled) = quick_jit(both)(params, filled(unet))
    assert len(added) == 3
    for array in (hint, *added.values()):
        assert not np.any(array)
    np.testing.assert_array_equal(plain, controlled)


def test_it_begins_with_the_arrays_of_a_unet():
    """Those of the encoder and of what it is told have the same names and shapes."""
    unet, ours = ({k: a.shape for k, a in model.shapes[0].items()} for model in (UNET, made()))
    shared = {k: shape for k, shape in unet.items() if k.split("/")[0] in ("told", "encoder")}
    assert shared.items() <= ours.items()
    others = {k.split("/")[0] for k in made().shapes[0]} - {"told", "encoder"}
    assert others == {"hint", "skips", "middle"}


def test_scales(case):
    """The scale multiplies; guess mode goes from a tenth of it to it; pooled is the mean."""
    model, pooled = made(), made(pooled=True)
    arrays = filled(model)

    def all_of_them(*arrays):
        scale = jnp.full((1, 1, 1, 1), 0.5)
        return (
            model.apply(*arrays, *case),
            model.apply(*arrays, *case, scale=scale),
            model.apply(*arrays, *case, scale=0.5, guess=True),
            pooled.apply(*arrays, *case),
        )

    full, half, guess, mean = quick_jit(all_of_them)(*arrays)
    for i, name in enumerate(("skip_0", "skip_1", "skip_2", "skip_3", "middle")):
        np.testing.assert_allclose(half[name], full[name] / 2, rtol=1e-5)
        np.testing.assert_allclose(guess[name], full[name] / 2 * 10 ** (i / 4 - 1), rtol=1e-5)
        expected = full[name].mean((1, 2), keepdims=True)
        np.testing.assert_allclose(mean[name], expected, rtol=1e-4, atol=1e-6)


def test_several_are_added_up_by_weight():
    """At each place that any of them has."""
    one, other = {"skip_0": jnp.ones(2), "middle": jnp.ones(2)}, {"middle": jnp.full(2, 10.0)}
    found = weighted([(0.5, one), (2.0, other)])
    np.testing.assert_array_equal(found["skip_0"], [0.5, 0.5])
    np.testing.assert_array_equal(found["middle"], [20.5, 20.5])


def test_an_image_of_another_size_is_refused(case):
    """With the shape that it must have."""
    *call, control = case
    model = made()
    with pytest.raises(ValueError, match=r"\(1, 4, 4, 2\) it must be \(1, 8, 8, 3\)"):
        jax.eval_shape(model.apply, *model.shapes, *call, control[:, :4])
