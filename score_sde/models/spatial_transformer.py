"""Transformers on the pixels of an image that look at a text.

Latent diffusion (Rombach et al. 2022, arXiv 2112.10752, Section 3.3). The pixels are tokens h; with
c the text's, each block is

    h <- h + attention(norm(h), norm(h))
    h <- h + attention(norm(h), c)
    h <- h + layers(norm(h)),                                                              (1)

where attention(q, k) takes queries of q and keys and values of k. A dense layer of each pixel
stands before the blocks and one after them, and the image is added to what that gives.

An image may prompt too (IP-Adapter, Ye et al. 2023, arXiv 2308.06721, equation 5): before the last
layer of the second attention, that of the same queries to keys and values of it is added.
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import nnx

from score_sde.models import placing
from score_sde.models.blocks import attend
from score_sde.models.layers import Dense, GroupNorm, Layer, Queries
from score_sde.models.stacked import Stacked
from score_sde.models.transformer import FeedForward, TokenNorm

# Keys and values that attention looks at by themselves, see models.image_prompt.
Beside = tuple[jax.Array, jax.Array]
TOKEN_EPS = 1e-5  # of the norms of tokens
MLP_RATIO = 4  # of the size of a hidden layer to that of a token


class CrossAttention(nnx.Module):
    """Attention of tokens to others; queries, keys and values have no bias.

    Args:
        features: of a token, a multiple of `heads`.
        seen: features of a token that is looked at.
        heads: number of heads.
        param_dtype: dtype of the parameters.
        rngs: random streams of the initialisation.

    Raises:
        ValueError: heads do not divide features.
    """

    def __init__(
        self, features: int, seen: int, heads: int, *, param_dtype: jnp.dtype, rngs: nnx.Rngs
    ):
        if features % heads:
            raise ValueError(f"{features} features cannot be divided into {heads} heads")
        layer: Layer = {"param_dtype": param_dtype, "rngs": rngs}
        asking = {"bias": False, "split": placing.outputs(heads), **layer}
        self.query = Dense(features, features, queries=Queries(features // heads), **asking)
        self.key = Dense(seen, features, **asking)
        self.value = Dense(seen, features, **asking)
        self.out = Dense(features, features, split=placing.inputs(heads), **layer)
        self.heads = heads

    def __call__(
        self,
        h: jax.Array,
        seen: jax.Array,
        mask: jax.Array | None = None,
        beside: Sequence[Beside] = (),
    ) -> jax.Array:
        """The shape of h.

        Args:
            h: tokens that look, [batch, tokens, features].
            seen: tokens that are looked at, [batch, n, seen].
            mask: which of these there are, bool [batch, n]; None for all.
            beside: keys and values of others, [batch, m, features] each; the attention to each of
                these pairs is added.
        """
        query, key, value = self.query(h), self.key(seen), self.value(seen)
        found = attend(query, key, value, self.heads, mask)
        for keys, values in beside:
            found = found + attend(query, keys, values, self.heads)
        return self.out(found)


class TransformerBlock(nnx.Module):
    """Equation (1).

    Args:
        features: of a token.
        text_features: of a token of the text.
        heads: of attention.
        cross_only: look at the text in the first attention as well.
        param_dtype: dtype of the parameters.
        rngs: random streams of the initialisation.
    """

    def __init__(
        self,
        features: int,
        text_features: int,
        heads: int,
        *,
        cross_only: bool,
        param_dtype: jnp.dtype,
        rngs: nnx.Rngs,
    ):
        layer: Layer = {"param_dtype": param_dtype, "rngs": rngs}
        norm = {"affine": True, "eps": TOKEN_EPS, "param_dtype": param_dtype}
        self.norm_0, self.norm_1, self.norm_2 = (TokenNorm(features, **norm) for _ in range(3))
        first = text_features if cross_only else features
        self.attention_0 = CrossAttention(features, first, heads, **layer)
        self.attention_1 = CrossAttention(features, text_features, heads, **layer)
        self.feed_forward = FeedForward(features, MLP_RATIO * features, kind="geglu", **layer)
        self.cross_only = cross_only

    def __call__(
        self,
        h: jax.Array,
        text: jax.Array,
        mask: jax.Array | None,
        beside: Sequence[Beside] = (),
    ) -> jax.Array:
        """[batch, tokens, features] to the same; see SpatialTransformer."""
        normed = self.norm_0(h)
        if self.cross_only:
            h = h + self.attention_0(normed, text, mask)
        else:
            h = h + self.attention_0(normed, normed)
        h = h + self.attention_1(self.norm_1(h), text, mask, beside)
        return h + self.feed_forward(self.norm_2(h))


class SpatialTransformer(nnx.Module):
    """A group norm, a dense layer, blocks of equation (1), a dense layer; and the image is added.

    Args:
        channels: of the image.
        text_features: of a token of the text.
        heads: of attention.
        depth: number of blocks.
        cross_only: see TransformerBlock.
        groups: of the group norm.
        remat: recompute each block in the backward pass instead of keeping its activations.
        param_dtype: dtype of the parameters.
        rngs: random streams of the initialisation.
    """

    def __init__(
        self,
        channels: int,
        text_features: int,
        *,
        heads: int,
        depth: int,
        cross_only: bool,
        groups: int,
        remat: bool,
        param_dtype: jnp.dtype,
        rngs: nnx.Rngs,
    ):
        layer: Layer = {"param_dtype": param_dtype, "rngs": rngs}
        self.channels = channels
        self.norm = GroupNorm(channels, groups=groups, param_dtype=param_dtype)
        self.dense_in = Dense(channels, channels, **layer)
        self.blocks = Stacked(
            lambda rngs: TransformerBlock(
                channels,
                text_features,
                heads,
                cross_only=cross_only,
                param_dtype=param_dtype,
                rngs=rngs,
            ),
            depth,
            remat=remat,
            rngs=rngs,
        )
        self.dense_out = Dense(channels, channels, scale=0, **layer)

    def __call__(
        self,
        x: jax.Array,
        text: jax.Array,
        mask: jax.Array | None,
        beside: Sequence[Beside] = (),
    ) -> jax.Array:
        """The shape of x.

        Args:
            x: [batch, height, width, channels].
            text: [batch, n, text_features].
            mask: which tokens of the text there are, bool [batch, n]; None for all.
            beside: keys and values of others for each block, [depth, batch, m, channels] each; the
                attention to each of these pairs is added to that to the text.
        """
        tokens = self.dense_in(self.norm(x)).reshape(x.shape[0], -1, x.shape[-1])
        tokens, _ = self.blocks.scan(
            lambda block, h, own, _: (block(h, text, mask, own), None), tokens, None, tuple(beside)
        )
        return x + self.dense_out(tokens).reshape(x.shape)
