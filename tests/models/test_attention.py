"""Attention in parts against attention as one."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from score_sde.models import attention


@pytest.mark.parametrize("heads", [1, 3])
@pytest.mark.parametrize("masked", [False, True])
def test_in_parts_it_is_the_same(x64, monkeypatch, heads, masked):
    """Of queries that fill no whole number of parts; its derivative too; logits of any size."""
    monkeypatch.setattr(attention, "_PART", 64)  # four queries of sixteen keys
    keys = jax.random.split(jax.random.key(0), 4)
    shapes = [(2, 11, heads, 4), (2, 16, heads, 4), (2, 16, heads, 5)]
    q, k, v = (jax.random.normal(one, s) for one, s in zip(keys, shapes, strict=False))
    mask = jnp.asarray(np.arange(16) < [[16], [9]]) if masked else None

    def of(q, k, v, in_parts, scaled):
        def total(q, k, v):
            found = attention.attend(300 * q, k, v, mask, scaled=scaled, in_parts=in_parts)
            return jnp.sum(jnp.sin(found)), found

        return jax.grad(total, (0, 1, 2), has_aux=True)(q, k, v)

    @jax.jit
    def every(*qkv):
        return [[of(*qkv, parts, scaled) for scaled in (True, False)] for parts in (True, False)]

    found, expected = every(q, k, v)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-9), found, expected)
    assert expected[0][1].shape == (2, 11, heads, 5)


def test_many_logits_are_never_there_all_at_once():
    """On a CPU: of 1,024 tokens of eight heads, what it needs is not the 32 MB that they are."""
    shape = jax.ShapeDtypeStruct((1, 1024, 8, 4), jnp.float32)

    def needed(**how):
        attend = jax.jit(lambda q, k, v: attention.attend(q, k, v, **how))
        return attend.lower(shape, shape, shape).compile().memory_analysis().temp_size_in_bytes

    assert needed(in_parts=False) >= 8 * 1024 * 1024 * 4
    assert needed() < 8 * 2**20


@pytest.mark.parametrize("heads", [1, 2])
def test_in_half_precision_its_products_are_so_in_both_passes(heads):
    """And logits are float32, of which softmax makes float32."""
    shape = jax.ShapeDtypeStruct((2, 16, heads, 8), jnp.bfloat16)

    def loss(q, k, v):
        return attention.attend(q, k, v).astype(jnp.float32).sum()

    gradient = jax.jit(jax.grad(loss, (0, 1, 2)))
    text = gradient.trace(*[shape] * 3).lower(lowering_platforms=("cuda",)).as_text()
    products = re.findall(r"stablehlo\.dot_general.* : \((.*)\) -> tensor<[\dx]*(\w+)>", text)
    assert len(products) == 6 - 1  # the sum's gradient needs no output
    assert all(given.count("bf16") == 2 for given, _ in products)
    assert [made for _, made in products].count("f32") == 1
    assert re.search(r"stablehlo\.exponential.*xf32>", text)


def test_gradients_in_half_precision_are_those_in_float32():
    """To its rounding, 2^-8, and under vmap; in forward mode too."""
    keys = jax.random.split(jax.random.key(0), 4)
    q, k, v, w = (jax.random.normal(one, (3, 2, 16, 2, 8)).astype(jnp.bfloat16) for one in keys)

    def of(dtype):
        def loss(q, k, v):
            found = attention.attend(*(a.astype(dtype) for a in (q, k, v)))
            return (found * w[0].astype(dtype)).astype(jnp.float32).sum()

        reverse = jax.vmap(jax.grad(loss, (0, 1, 2)))(q, k, v)
        forward = jax.vmap(lambda *a: jax.jvp(loss, a[:3], a[1:])[1])(q, k, v, w)
        return jax.tree.map(lambda a: np.asarray(a, np.float32), (*reverse, forward))

    for half, full in zip(of(jnp.bfloat16), of(jnp.float32), strict=True):
        assert np.abs(half - full).max() < 2**-6 * np.abs(full).max()


@pytest.mark.parametrize("platform", ["cuda", "tpu"])
def test_other_platforms_make_what_they_can_of_the_whole(platform):
    """A program is lowered for them here: with its derivative, all logits are one array."""
    shape = jax.ShapeDtypeStruct((1, 1024, 8, 4), jnp.float32)
    gradient = jax.jit(jax.grad(lambda q, k, v: attention.attend(q, k, v).sum()))
    text = gradient.trace(shape, shape, shape).lower(lowering_platforms=(platform,)).as_text()
    assert "1x8x1024x1024xf32" in text
    assert "stablehlo.while" not in text
