"""What transformers are made of. Tokens are [batch, tokens, features]."""

import math
from typing import Literal

import jax
import jax.numpy as jnp
from flax import nnx

from score_sde.models.layers import Dense, per_channel
from score_sde.models.tokens import rotate


class TokenNorm(nnx.Module):
    """Each token to mean 0 and variance 1, or to mean square 1.

    "layer" is the layer norm of Ba et al. (2016, arXiv 1607.06450), "rms" that of Zhang and
    Sennrich (2019, arXiv 1910.07467), which subtracts no mean and adds no bias.

    Args:
        features: of a token.
        kind: which of the two.
        affine: whether a learned scale and bias for each feature follow.
        eps: added to the variance.
        param_dtype: dtype of the parameters.
    """

    def __init__(
        self,
        features: int,
        *,
        kind: Literal["layer", "rms"] = "layer",
        affine: bool,
        eps: float = 1e-6,
        param_dtype: jnp.dtype,
    ):
        self.centers, self.eps = kind == "layer", eps
        self.scale = nnx.Param(jnp.ones(features, param_dtype)) if affine else None
        biased = affine and self.centers
        self.bias = nnx.Param(jnp.zeros(features, param_dtype)) if biased else None

    def __call__(self, x: jax.Array) -> jax.Array:
        """[..., features] to the same; the statistics are in float32 or better."""
        y = x.astype(jnp.promote_types(x.dtype, jnp.float32))
        if self.centers:
            y = y - y.mean(axis=-1, keepdims=True)
        y = y * jax.lax.rsqrt((y * y).mean(axis=-1, keepdims=True) + self.eps)
        if self.scale is not None:
            y = y * per_channel(self.scale[...], y)
        if self.bias is not None:
            y = y + per_channel(self.bias[...], y)
        return y.astype(x.dtype)


class SelfAttention(nnx.Module):
    """Attention with several heads (Vaswani et al. 2017, arXiv 1706.03762).

    Args:
        features: of a token, a multiple of `heads`.
        heads: number of heads.
        bias: whether queries, keys and values have one.
        qk_norm: normalise each head's queries and keys by their mean square, with a learned scale,
          so that logits stay small (Dehghani et al. 2023, arXiv 2302.05442; Esser et al. 2024,
          arXiv 2403.03206).
        param_dtype: dtype of the parameters.
        rngs: random streams of the initialisation.
    """

    def __init__(
        self,
        features: int,
        heads: int,
        *,
        bias: bool = True,
        qk_norm: bool = False,
        param_dtype: jnp.dtype,
        rngs: nnx.Rngs,
    ):
        layer = {"param_dtype": param_dtype, "rngs": rngs}
        norm = {"kind": "rms", "affine": True, "param_dtype": param_dtype}
        self.heads = heads
        self.qkv = Dense(features, 3 * features, bias=bias, **layer)
        self.query_norm = TokenNorm(features // heads, **norm) if qk_norm else None
        self.key_norm = TokenNorm(features // heads, **norm) if qk_norm else None
        self.out = Dense(features, features, **layer)

    def __call__(self, x: jax.Array, angles: jax.Array | None = None) -> jax.Array:
        """[batch, tokens, features] to the same; the softmax is in float32 or better.

        Args:
            x: tokens.
            angles: of rotary positions, [tokens, features of a head / 2], see tokens.rotate; None
                for none.
        """
        batch, tokens, features = x.shape
        qkv = self.qkv(x).reshape(batch, tokens, 3, self.heads, features // self.heads)
        query, key, value = (qkv[:, :, i] for i in range(3))
        if self.query_norm is not None:
            query, key = self.query_norm(query), self.key_norm(key)
        if angles is not None:
            query, key = rotate(query, angles), rotate(key, angles)
        wide = jnp.promote_types(x.dtype, jnp.float32)
        logits = jnp.einsum("bqhd,bkhd->bhqk", query, key, preferred_element_type=wide)
        logits = logits * (1 / math.sqrt(features // self.heads))
        weights = jax.nn.softmax(logits, axis=-1).astype(x.dtype)
        return self.out(jnp.einsum("bhqk,bkhd->bqhd", weights, value).reshape(x.shape))


class FeedForward(nnx.Module):
    """Two layers on each token alone.

    "gelu" has the exact GELU between them (Hendrycks and Gimpel 2016, arXiv 1606.08415),
    "gelu_tanh" its approximation by a tanh. In "swiglu" (Shazeer 2020, arXiv 2002.05202) the swish
    of one half of the first layer multiplies the other; a hidden layer of two thirds the size has
    as many parameters as the others.

    Args:
        features: of a token.
        hidden: size of the hidden layer of "gelu" and "gelu_tanh".
        kind: which of the three.
        param_dtype: dtype of the parameters.
        rngs: random streams of the initialisation.
    """

    def __init__(
        self,
        features: int,
        hidden: int,
        *,
        kind: Literal["gelu", "gelu_tanh", "swiglu"],
        param_dtype: jnp.dtype,
        rngs: nnx.Rngs,
    ):
        layer = {"param_dtype": param_dtype, "rngs": rngs}
        self.kind = kind
        hidden = round(hidden * 2 / 3) if kind == "swiglu" else hidden
        self.dense_0 = Dense(features, 2 * hidden if kind == "swiglu" else hidden, **layer)
        self.dense_1 = Dense(hidden, features, **layer)

    def __call__(self, x: jax.Array) -> jax.Array:
        """[..., features] to the same."""
        h = self.dense_0(x)
        if self.kind == "swiglu":
            gate, h = jnp.split(h, 2, axis=-1)
            return self.dense_1(jax.nn.silu(gate) * h)
        return self.dense_1(jax.nn.gelu(h, approximate=self.kind == "gelu_tanh"))
