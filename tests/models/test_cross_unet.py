"""The U-Net of latent diffusion; its numbers are in tests/interop/components."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from filled import filled, quick_jit

from score_sde.models import arguments
from score_sde.models.cross_unet import CrossUNet
from score_sde.models.functional import functional

pytestmark = pytest.mark.slow

SMALL = {
    "shape": (8, 8, 2),
    "widths": (4, 8),
    "num_res_blocks": 1,
    "transformer_depth": (0, 2),
    "heads": (1, 2),
    "text_features": 6,
    "groups": 2,
}


@functools.cache
def made(**options):
    return functional(lambda rngs: CrossUNet(**SMALL | options, rngs=rngs))


def shaped(*shape, dtype=jnp.float32):
    return jax.ShapeDtypeStruct(shape, dtype)


def called(model, x=None, cond=None, added=None, key=None):
    x = shaped(2, 8, 8, 2) if x is None else x
    cond = {"text": shaped(2, 3, 6)} if cond is None else cond
    return jax.eval_shape(
        lambda arrays, x, t, cond, added: model.apply(*arrays, x, t, cond, added=added, key=key),
        *(model.shapes, x, shaped(2), cond, added),
    )


@pytest.mark.parametrize("size", [(5, 7), (3, 1)])
def test_images_may_be_of_any_size(size):
    """Also such as cannot be halved."""
    assert called(made(), shaped(2, *size, 2)).shape == (2, *size, 2)


def test_options_change_what_they_say():
    """A variance, an image beside the state, the precision of the computation."""
    options = {"learn_variance": True, "extra_channels": 3, "remat": True, "dropout": 0.1}
    model = made(**options, dtype=jnp.bfloat16, param_dtype=jnp.bfloat16)
    cond = {"text": shaped(2, 3, 6), "text_mask": shaped(2, 3, dtype=bool)}
    cond["concat"] = shaped(2, 8, 8, 3)
    out = called(model, cond=cond, key=jax.random.key(0))
    assert (out.shape, out.dtype) == ((2, 8, 8, 4), jnp.float32)
    params, _ = model.shapes
    assert params["encoder/conv_in/kernel"].shape == (3, 3, 5, 4)
    assert {a.dtype for a in params.values()} == {jnp.dtype(jnp.bfloat16)}
    levels = {k.split("/")[2] for k in params if k.startswith("encoder/down") and "attentions" in k}
    assert levels == {"1"}  # where the depth is not 0


def test_it_can_be_a_network_of_a_config():
    """Each of its options has a meaning and a default that its range allows."""
    options = arguments.options(CrossUNet)
    assert all(entry.meaning for entry in options.values())
    assert {"shape", "conditions", "rngs", "centered"} <= arguments.given(CrossUNet)


def test_what_is_added_has_an_effect_of_its_own_at_each_place():
    """But that after the middle has two names."""
    model = made()
    params, constants = filled(model)
    x = jax.random.normal(jax.random.key(0), (1, 8, 8, 2))
    text = jax.random.normal(jax.random.key(1), (1, 3, 6))
    shapes = {"skip_0": (8, 8, 4), "skip_1": (8, 8, 4), "skip_2": (4, 4, 4), "skip_3": (4, 4, 8)}
    shapes |= {"middle": (4, 4, 8), "level_0": (4, 4, 4), "level_1": (4, 4, 8)}
    shapes["level_2"] = (4, 4, 8)
    zeros = {name: jnp.zeros((1, *shape)) for name, shape in shapes.items()}

    def run(added):
        return model.apply(params, constants, x, jnp.ones(1), {"text": text}, added=added)

    each = [{**zeros, name: zeros[name] + 1} for name in shapes]
    together = jax.tree.map(lambda *a: jnp.stack(a), zeros, *each)
    plain, *outs = quick_jit(lambda added: jax.lax.map(run, added))(together)
    outs = dict(zip(shapes, outs, strict=True))
    for name, out in outs.items():
        assert np.abs(out - plain).max() > 1e-3, name
    np.testing.assert_allclose(outs["level_2"], outs["middle"], atol=1e-6)
    assert not np.allclose(outs["level_1"], outs["skip_3"], atol=1e-3)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"cond": {}}, "has to be told text, which is not in cond"),
        ({"cond": {"text": shaped(2, 3, 5)}}, r"text is \(2, 3, 5\); .* \[batch, n, 6\]"),
        ({"x": shaped(2, 8, 8, 3)}, r"x is \(2, 8, 8, 3\); this network is for .* 2\]"),
        ({"added": {"skip_4": shaped(2, 4, 4, 8)}}, "nothing can be added at skip_4: .* to skip_3"),
        ({"added": {"middle": shaped(2, 4, 4)}}, r"added at middle is \(2, 4, 4\), not"),
        ({"added": {"middle": shaped(2, 4, 3, 8)}}, r"added at middle is \(2, 4, 3, 8\), not"),
    ],
)
def test_what_it_cannot_take_is_refused(more, message):
    """By its name and shape."""
    with pytest.raises(ValueError, match=message):
        called(made(), **more)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"heads": (1, 2, 3)}, "heads=.* must have an entry for each of the 2 widths"),
        ({"transformer_depth": (1,)}, "transformer_depth=.* an entry for each of the 2 widths"),
        ({"cross_only": (2,)}, "there is no level 2"),
        ({"groups": 3}, "4 channels cannot be divided into 3 groups"),
        ({"widths": ()}, "widths"),
    ],
)
def test_options_that_contradict_each_other_are_refused(options, message):
    """When it is made."""
    with pytest.raises(ValueError, match=message):
        made(**options)
