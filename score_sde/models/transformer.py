"""What transformers are made of. Tokens are [batch, tokens, features]."""

from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp
from flax import nnx

from score_sde.models import placing
from score_sde.models.attention import attend
from score_sde.models.layers import Dense, Layer, Queries, asking, per_channel
from score_sde.models.spread import spread
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
        queries: of attention that it normalises; None for none.
        param_dtype: dtype of the parameters.
    """

    def __init__(
        self,
        features: int,
        *,
        kind: Literal["layer", "rms"] = "layer",
        affine: bool,
        eps: float = 1e-6,
        queries: Queries | None = None,
        param_dtype: jnp.dtype,
    ):
        self.centers, self.eps = kind == "layer", eps
        ones = jnp.ones(features, param_dtype)
        self.scale = nnx.Param(ones, **asking(queries)) if affine else None
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


def modulate(x: jax.Array, shift: jax.Array, scale: jax.Array) -> jax.Array:
    """(1 + scale) * x + shift; x [batch, tokens, features], the others [batch, 1, features]."""
    return x * spread(1 + scale, x) + spread(shift, x)


class SelfAttention(nnx.Module):
    """Attention with several heads (Vaswani et al. 2017, arXiv 1706.03762).

    Args:
        features: of a token, a multiple of `heads` unless head_features says how many there are.
        heads: number of heads.
        head_features: of a head; None for features / heads.
        bias: whether queries, keys and values have one.
        out: whether a layer follows.
        out_bias: whether that layer has one.
        scaled: divide logits by the square root of the features of a head.
        qk_norm: normalise each head's queries and keys by their mean square, with a learned scale,
          so that logits stay small (Dehghani et al. 2023, arXiv 2302.05442; Esser et al. 2024,
          arXiv 2403.03206).
        adjacent: which features rotary positions turn together, see tokens.rotate.
        param_dtype: dtype of the parameters.
        rngs: random streams of the initialisation.
    """

    def __init__(
        self,
        features: int,
        heads: int,
        *,
        head_features: int | None = None,
        bias: bool = True,
        out: bool = True,
        out_bias: bool = True,
        scaled: bool = True,
        qk_norm: bool = False,
        adjacent: bool = False,
        param_dtype: jnp.dtype,
        rngs: nnx.Rngs,
    ):
        layer: Layer = {"param_dtype": param_dtype, "rngs": rngs}
        norm = {"kind": "rms", "affine": True, "param_dtype": param_dtype}
        size = features // heads if head_features is None else head_features
        self.heads, self.head_features = heads, size
        self.scaled, self.adjacent = scaled, adjacent
        split = placing.outputs(heads, parts=3)
        # A norm of queries leaves nothing of the size of what they are made with.
        made = None if qk_norm else Queries(size, parts=3)
        self.qkv = Dense(features, 3 * heads * size, bias=bias, split=split, queries=made, **layer)
        self.query_norm = TokenNorm(size, queries=Queries(size), **norm) if qk_norm else None
        self.key_norm = TokenNorm(size, **norm) if qk_norm else None
        split = placing.inputs(heads)
        self.out = (
            Dense(heads * size, features, bias=out_bias, split=split, **layer) if out else None
        )

    def __call__(
        self,
        x: jax.Array,
        angles: jax.Array | None = None,
        added: jax.Array | None = None,
        mask: jax.Array | None = None,
    ) -> jax.Array:
        """[batch, tokens, features] to the same.

        Args:
            x: tokens.
            angles: of rotary positions, [tokens, features of a head / 2], see tokens.rotate; None
                for none.
            added: to the logits, see attend; None for nothing.
            mask: bool [batch, tokens], which of them are seen; None for all.
        """
        return self.join(attend(*self.split(x, angles), mask, added=added, scaled=self.scaled))

    def split(
        self, x: jax.Array, angles: jax.Array | None = None
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Queries, keys and values, [batch, tokens, heads, d] each; see __call__."""
        batch, tokens, _ = x.shape
        qkv = self.qkv(x).reshape(batch, tokens, 3, self.heads, self.head_features)
        query, key, value = (qkv[:, :, i] for i in range(3))
        if self.query_norm is not None:
            query, key = self.query_norm(query), self.key_norm(key)
        if angles is not None:
            query, key = (rotate(one, angles, self.adjacent) for one in (query, key))
        return query, key, value

    def join(self, attended: jax.Array) -> jax.Array:
        """What is added to the tokens, from what their queries found, [batch, tokens, heads, d]."""
        y = attended.reshape(*attended.shape[:2], -1)
        return y if self.out is None else self.out(y)


class CrossAttention(nnx.Module):
    """Queries of one sequence, keys and values of another (Vaswani et al. 2017).

    Args:
        features: of a token that asks, a multiple of `heads`.
        others: features of a token of the other sequence.
        heads: number of heads.
        scale: of the last layer, see layers.init_kernel.
        param_dtype: dtype of the parameters.
        rngs: random streams of the initialisation.
    """

    def __init__(
        self,
        features: int,
        others: int,
        heads: int,
        *,
        scale: float = 1.0,
        param_dtype: jnp.dtype,
        rngs: nnx.Rngs,
    ):
        layer: Layer = {"param_dtype": param_dtype, "rngs": rngs}
        self.heads = heads
        asked = {"split": placing.outputs(heads), "queries": Queries(features // heads)}
        self.query = Dense(features, features, **asked, **layer)
        split = placing.outputs(heads, parts=2)
        self.key_value = Dense(others, 2 * features, split=split, **layer)
        self.out = Dense(features, features, scale=scale, split=placing.inputs(heads), **layer)

    def __call__(self, x: jax.Array, other: jax.Array, mask: jax.Array | None = None) -> jax.Array:
        """[batch, tokens, features] to the same.

        Args:
            x: tokens that ask.
            other: tokens that are asked, [batch, n, others].
            mask: bool [batch, n], which of them are seen; None for all.
        """
        size = (self.heads, x.shape[-1] // self.heads)
        key_value = self.key_value(other).reshape(*other.shape[:2], 2, *size)
        query = self.query(x).reshape(*x.shape[:2], *size)
        return self.out(
            attend(query, key_value[:, :, 0], key_value[:, :, 1], mask).reshape(x.shape)
        )


class FeedForward(nnx.Module):
    """Two layers on each token alone.

    "gelu" has the exact GELU between them (Hendrycks and Gimpel 2016, arXiv 1606.08415),
    "gelu_tanh" and "gelu_sigmoid" its approximations by a tanh and by x sigmoid(1.702 x), "relu"
    the larger of x and 0. In
    "swiglu" and "geglu_tanh" (Shazeer 2020, arXiv 2002.05202) the swish or the GELU of one half of
    the first layer multiplies the other; in "geglu" the exact GELU of the second half the first.

    Args:
        features: of a token.
        hidden: size of the hidden layer; of "swiglu" it is two thirds of that, so that there are as
            many parameters.
        kind: which of them.
        bias: whether the layers have one.
        param_dtype: dtype of the parameters.
        rngs: random streams of the initialisation.
    """

    def __init__(
        self,
        features: int,
        hidden: int,
        *,
        kind: Literal["gelu", "gelu_tanh", "gelu_sigmoid", "relu", "swiglu", "geglu", "geglu_tanh"],
        bias: bool = True,
        param_dtype: jnp.dtype,
        rngs: nnx.Rngs,
    ):
        layer = {"bias": bias, "param_dtype": param_dtype, "rngs": rngs}
        self.kind = kind
        hidden = round(hidden * 2 / 3) if kind == "swiglu" else hidden
        parts = 2 if kind in _GATED else 1
        split = placing.outputs(hidden, parts)
        self.dense_0 = Dense(features, parts * hidden, split=split, **layer)
        self.dense_1 = Dense(hidden, features, split=placing.inputs(hidden), **layer)

    def __call__(self, x: jax.Array) -> jax.Array:
        """[..., features] to the same."""
        h = self.dense_0(x)
        if self.kind in _GATED:
            h = h.reshape(*x.shape[:-1], 2, -1)
            gate, h = h[..., 0, :], h[..., 1, :]
            gate, h = (h, gate) if self.kind == "geglu" else (gate, h)
            return self.dense_1(_GATED[self.kind](gate) * h)
        return self.dense_1(_BETWEEN[self.kind](h))


_BETWEEN: dict[str, Callable[[jax.Array], jax.Array]] = {
    "gelu": lambda h: jax.nn.gelu(h, approximate=False),
    "gelu_tanh": lambda h: jax.nn.gelu(h, approximate=True),
    "gelu_sigmoid": lambda h: h * jax.nn.sigmoid(1.702 * h),
    "relu": jax.nn.relu,
}
_GATED: dict[str, Callable[[jax.Array], jax.Array]] = {
    "swiglu": jax.nn.silu,
    "geglu": _BETWEEN["gelu"],
    "geglu_tanh": _BETWEEN["gelu_tanh"],
}
