"""Norms, attention and layers of tokens, against NumPy in float64."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from filled import filled, quick_jit

from score_sde.models.functional import functional
from score_sde.models.transformer import FeedForward, SelfAttention, TokenNorm


def outputs(make, shape):
    """A module's output at random tokens, the tokens, and its arrays; float64."""
    model = functional(make)
    params, constants = filled(model)
    x = jax.random.normal(jax.random.key(1), shape, jnp.float64)
    out = quick_jit(model.apply)(params, constants, x)
    return out, np.asarray(x), {name: np.asarray(array) for name, array in params.items()}


def rms(x):
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-6)


@pytest.mark.parametrize("kind", ["layer", "rms"])
def test_each_token_is_normed_by_itself(x64, kind):
    """Its mean and variance, or its mean square; then the learned scale and, of layer, bias."""
    out, x, p = outputs(
        lambda rngs: TokenNorm(8, kind=kind, affine=True, param_dtype=jnp.float64), (2, 3, 8)
    )
    expected = rms(x - x.mean(-1, keepdims=True) if kind == "layer" else x) * p["scale"]
    np.testing.assert_allclose(out, expected + p.get("bias", 0), rtol=1e-10)
    assert ("bias" in p) == (kind == "layer")


@pytest.mark.parametrize("qk_norm", [False, True])
def test_attention_is_its_equation(x64, qk_norm):
    """softmax(q k^T / sqrt d) v of each head, side by side, then a layer; q and k may be normed."""
    out, x, p = outputs(
        lambda rngs: SelfAttention(6, 2, qk_norm=qk_norm, param_dtype=jnp.float64, rngs=rngs),
        (2, 5, 6),
    )
    q, k, v = np.split(x @ p["qkv/kernel"] + p["qkv/bias"], 3, axis=-1)
    heads = []
    for head in (slice(0, 3), slice(3, 6)):
        query, key = q[..., head], k[..., head]
        if qk_norm:
            query, key = rms(query) * p["query_norm/scale"], rms(key) * p["key_norm/scale"]
        weights = np.exp(query @ key.swapaxes(1, 2) / math.sqrt(3))
        heads.append(weights / weights.sum(-1, keepdims=True) @ v[..., head])
    expected = np.concatenate(heads, -1) @ p["out/kernel"] + p["out/bias"]
    np.testing.assert_allclose(out, expected, rtol=1e-10)


def gelu(h):
    return h * (1 + np.vectorize(math.erf)(h / math.sqrt(2))) / 2


def gelu_tanh(h):
    return h * (1 + np.tanh(math.sqrt(2 / math.pi) * (h + 0.044715 * h**3))) / 2


def swiglu(h):
    gate, h = np.split(h, 2, axis=-1)
    return gate / (1 + np.exp(-gate)) * h


@pytest.mark.parametrize("kind", [gelu, gelu_tanh, swiglu], ids=lambda f: f.__name__)
def test_layers_are_their_equation(x64, kind):
    """As many parameters in each kind, but for biases."""
    out, x, p = outputs(
        lambda rngs: FeedForward(4, 12, kind=kind.__name__, param_dtype=jnp.float64, rngs=rngs),
        (2, 3, 4),
    )
    hidden = kind(x @ p["dense_0/kernel"] + p["dense_0/bias"])
    expected = hidden @ p["dense_1/kernel"] + p["dense_1/bias"]
    np.testing.assert_allclose(out, expected, rtol=1e-10)
    assert p["dense_0/kernel"].size + p["dense_1/kernel"].size == 2 * 4 * 12
