"""Transformers on images that look at a text."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from filled import filled, quick_jit

from score_sde.models.functional import functional
from score_sde.models.spatial_transformer import CrossAttention, SpatialTransformer

pytestmark = pytest.mark.slow

LAYER = {"param_dtype": jnp.float64}


def arrays(*shapes):
    keys = jax.random.split(jax.random.key(0), len(shapes))
    return [jax.random.normal(k, s, jnp.float64) for k, s in zip(keys, shapes, strict=True)]


@pytest.mark.parametrize("heads", [1, 2])
def test_attention_to_other_tokens_is_its_equation(x64, heads):
    """softmax(q k^T / sqrt(d)) v of each head."""
    model = functional(lambda rngs: CrossAttention(4, 6, heads, **LAYER, rngs=rngs))
    params, constants = filled(model)
    h, seen = arrays((2, 3, 4), (2, 5, 6))
    out = model.apply(params, constants, h, seen)
    params, h, seen = jax.tree.map(np.asarray, (params, h, seen))
    query = h @ params["query/kernel"]
    key, value = seen @ params["key/kernel"], seen @ params["value/kernel"]
    parts, d = [], 4 // heads
    for i in range(heads):
        own = slice(i * d, (i + 1) * d)
        logits = query[..., own] @ key[..., own].transpose(0, 2, 1) / np.sqrt(d)
        weights = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
        parts.append(weights @ value[..., own])
    expected = np.concatenate(parts, -1) @ params["out/kernel"] + params["out/bias"]
    np.testing.assert_allclose(out, expected, rtol=1e-10)


@pytest.mark.parametrize("heads", [1, 2])
def test_what_a_mask_hides_has_no_effect(x64, heads):
    """As if the text ended there; an example without any text looks at all of it alike."""
    model = functional(lambda rngs: CrossAttention(4, 6, heads, **LAYER, rngs=rngs))
    arrays_ = filled(model)
    h, seen = arrays((2, 3, 4), (2, 5, 6))
    mask = jnp.array([[True, True, False, False, False], [False] * 5])
    out = model.apply(*arrays_, h, seen, mask)
    np.testing.assert_allclose(out[:1], model.apply(*arrays_, h[:1], seen[:1, :2]), rtol=1e-10)
    assert np.isfinite(out).all()


@pytest.mark.parametrize("cross_only", [True, False])
def test_pixels_have_no_order(x64, cross_only):
    """Pixels in another order come out in it; with cross_only no attention has keys of pixels."""
    model = functional(
        lambda rngs: SpatialTransformer(
            4,
            6,
            heads=2,
            depth=2,
            cross_only=cross_only,
            groups=4,
            remat=False,
            **LAYER,
            rngs=rngs,
        )
    )
    params, constants = filled(model)
    x, text = arrays((1, 2, 3, 4), (1, 3, 6))
    apply = quick_jit(model.apply)
    out = apply(params, constants, x, text, None)
    moved = apply(params, constants, x[:, ::-1], text, None)
    np.testing.assert_allclose(moved, out[:, ::-1], rtol=1e-9)
    assert not np.allclose(out, apply(params, constants, x, text + 1, None))
    keys = params["blocks/block/attention_0/key/kernel"]
    assert keys.shape == (2, 6 if cross_only else 4, 4)


def test_heads_have_to_divide_the_features():
    """Said with both numbers."""
    with pytest.raises(ValueError, match="4 features cannot be divided into 3 heads"):
        functional(lambda rngs: CrossAttention(4, 6, 3, param_dtype=jnp.float32, rngs=rngs))
