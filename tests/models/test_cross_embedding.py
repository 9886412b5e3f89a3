"""What the blocks of a U-Net with cross-attention are told besides the text."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from filled import filled

from score_sde import fields
from score_sde.models.conditions import Number
from score_sde.models.cross_embedding import CrossEmbedding
from score_sde.models.embeddings import cosines_first, positional
from score_sde.models.functional import functional

T = jnp.array([3.0, 700.0])


def made(conditions=None, **options):
    zero = {"guidance_features": 0, "added_features": 0, "size_features": 4}
    zero |= {"image_features": 0, "labels": 0}
    return functional(
        lambda rngs: CrossEmbedding(
            4, **zero | options, conditions=conditions or {}, param_dtype=jnp.float32, rngs=rngs
        )
    )


def layers(params, first, second, x):
    h = x @ params[f"{first}/kernel"] + params[f"{first}/bias"][None]
    return jax.nn.silu(h) @ params[f"{second}/kernel"] + params[f"{second}/bias"][None]


def test_all_that_can_be_told_is_added():
    """Its equation: noise level with guidance, pooled text with sizes, an image, a row by label."""
    model = made(guidance_features=6, added_features=3 + 2 * 4, image_features=2, labels=5)
    params, constants = filled(model)
    pooled, sizes = jnp.ones((2, 3)), jnp.array([[512.0, 16.0], [64.0, 0.0]])
    cond = {"guidance": jnp.array([7.5, 1.0]), "pooled": pooled, "sizes": sizes}
    cond["image_features"] = jnp.array([[1.0, 2.0], [0.0, -1.0]])
    cond["label"] = jnp.array([4, 0])
    told = model.apply(params, constants, T, cond, None)
    features = positional(1000 * (cond["guidance"] - 1), 6)
    early = cosines_first(T, 4) + features @ params["guidance/kernel"]
    expected = layers(params, "noise/dense_0", "noise/dense_1", early)
    each = [cosines_first(sizes[:, i], 4) for i in range(2)]
    added = jnp.concatenate([pooled, *each], axis=-1)
    expected = expected + layers(params, "added_0", "added_1", added)
    expected = expected + layers(params, "image_0", "image_1", cond["image_features"])
    expected = expected + params["table"][cond["label"]]
    np.testing.assert_allclose(told, jax.nn.silu(expected), rtol=1e-4, atol=1e-5)
    given = model.apply(params, constants, T, {**cond, "guidance": features}, None)
    np.testing.assert_allclose(given, told, rtol=1e-5, atol=1e-6)


def test_conditions_of_the_house_are_added_too():
    """A number, with its null where it is not told."""
    number = functools.partial(Number().embedding, fields.number("size"))
    model = made({"size": number})
    params, constants = filled(model)
    told = model.apply(params, constants, T, {"size": jnp.ones(2)}, None)
    assert not np.allclose(told, model.apply(params, constants, T, {}, None))
    with pytest.raises(ValueError, match="is told label as it is"):
        made({"label": number}, labels=3)


@pytest.mark.parametrize(
    ("options", "cond", "message"),
    [
        ({}, {"pooled": jnp.ones((2, 3))}, "not told pooled: it is told text, text_mask"),
        ({"labels": 2}, {}, "has to be told label, which is not in cond"),
        (
            {"added_features": 11},
            {"pooled": jnp.ones((2, 3)), "sizes": jnp.ones((2, 6))},
            "pooled has 3 features and there are 6 sizes of 4 each: this network is for 11",
        ),
    ],
)
def test_what_does_not_fit_is_refused(options, cond, message):
    """By its name, or with the numbers."""
    model = made(**options)
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(model.apply, *model.shapes, T, cond, None)
