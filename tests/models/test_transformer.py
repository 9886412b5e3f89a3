"""Norms, attention and layers of tokens, against NumPy in float64."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from filled import filled, quick_jit

from score_sde.models.functional import functional
from score_sde.models.transformer import CrossAttention, FeedForward, SelfAttention, TokenNorm


def outputs(make, shape, **given):
    """A module's output at random tokens, the tokens, and its arrays; float64."""
    model = functional(make)
    params, constants = filled(model)
    x = jax.random.normal(jax.random.key(1), shape, jnp.float64)
    out = quick_jit(model.apply)(params, constants, x, **given)
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


def test_attention_of_heads_of_any_size_with_numbers_added_to_its_logits(x64):
    """softmax(q k^T + a) v without a division and without biases; -inf is not seen."""
    added = jax.random.normal(jax.random.key(2), (1, 2, 5, 5), jnp.float64)
    added = jnp.where(jnp.tril(jnp.ones((5, 5), bool)), added, -jnp.inf)

    def make(rngs):
        options = {"bias": False, "out_bias": False, "scaled": False, "param_dtype": jnp.float64}
        return SelfAttention(6, 2, head_features=4, **options, rngs=rngs)

    out, x, p = outputs(make, (2, 5, 6), added=added)
    q, k, v = np.split(x @ p["qkv/kernel"], 3, axis=-1)
    heads = []
    for i, head in enumerate((slice(0, 4), slice(4, 8))):
        weights = np.exp(q[..., head] @ k[..., head].swapaxes(1, 2) + np.asarray(added[0, i]))
        heads.append(weights / weights.sum(-1, keepdims=True) @ v[..., head])
    np.testing.assert_allclose(out, np.concatenate(heads, -1) @ p["out/kernel"], rtol=1e-10)
    assert p.keys() == {"qkv/kernel", "out/kernel"}


def test_attention_to_another_sequence_is_its_equation(x64):
    """Of what the mask shows; a hidden token is as if it were not there."""
    model = functional(lambda rngs: CrossAttention(4, 3, 2, param_dtype=jnp.float64, rngs=rngs))
    params, constants = filled(model)
    x, other = (jax.random.normal(jax.random.key(n), (2, n, n), jnp.float64) for n in (4, 3))
    mask = jnp.array([[True, False, True], [True, True, True]])
    out = quick_jit(model.apply)(params, constants, x, other, mask)
    p = {name: np.asarray(array) for name, array in params.items()}
    for i, seen in enumerate(mask):
        q = np.asarray(x[i]) @ p["query/kernel"] + p["query/bias"]
        shown = np.asarray(other[i])[np.asarray(seen)]
        k, v = np.split(shown @ p["key_value/kernel"] + p["key_value/bias"], 2, axis=-1)
        heads = []
        for head in (slice(0, 2), slice(2, 4)):
            weights = np.exp(q[:, head] @ k[:, head].T / math.sqrt(2))
            heads.append(weights / weights.sum(-1, keepdims=True) @ v[:, head])
        expected = np.concatenate(heads, -1) @ p["out/kernel"] + p["out/bias"]
        np.testing.assert_allclose(out[i], expected, rtol=1e-10)


def gelu(h):
    return h * (1 + np.vectorize(math.erf)(h / math.sqrt(2))) / 2


def gelu_tanh(h):
    return h * (1 + np.tanh(math.sqrt(2 / math.pi) * (h + 0.044715 * h**3))) / 2


def gelu_sigmoid(h):
    return h / (1 + np.exp(-1.702 * h))


def geglu_tanh(h):
    gate, h = np.split(h, 2, axis=-1)
    return gelu_tanh(gate) * h


def swiglu(h):
    gate, h = np.split(h, 2, axis=-1)
    return gate / (1 + np.exp(-gate)) * h


def geglu(h):
    h, gate = np.split(h, 2, axis=-1)
    return h * gelu(gate)


@pytest.mark.parametrize("kind", [gelu, gelu_tanh, swiglu, geglu], ids=lambda f: f.__name__)
def test_layers_are_their_equation(x64, kind):
    """As many parameters in each kind, but for biases; in "geglu" half as many again."""
    out, x, p = outputs(
        lambda rngs: FeedForward(4, 12, kind=kind.__name__, param_dtype=jnp.float64, rngs=rngs),
        (2, 3, 4),
    )
    hidden = kind(x @ p["dense_0/kernel"] + p["dense_0/bias"])
    expected = hidden @ p["dense_1/kernel"] + p["dense_1/bias"]
    np.testing.assert_allclose(out, expected, rtol=1e-10)
    size = p["dense_0/kernel"].size + p["dense_1/kernel"].size
    assert size == 2 * 4 * 12 * (1.5 if kind is geglu else 1)
