"""Attention over the frames of a video, between the layers of a network of images (AnimateDiff).

Guo et al. 2023 (arXiv 2307.04725, Section 4.2). At each place of the image its features in all
frames are tokens h; with p learned positions of the frames, each block is

    h <- h + attention(norm(h) + p)
    h <- h + attention(norm(h) + p)
    h <- h + layers(norm(h)).                                                              (1)

A group norm of the whole video and a dense layer stand before the blocks and a dense layer after
them, which begins with zeros: a network of images becomes one of videos that is not changed yet.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx

from score_sde.models.frames import across
from score_sde.models.layers import Dense, GroupNorm, Layer
from score_sde.models.spatial_transformer import MLP_RATIO, TOKEN_EPS, CrossAttention
from score_sde.models.stacked import Stacked
from score_sde.models.transformer import FeedForward, TokenNorm


class MotionBlock(nnx.Module):
    """Equation (1).

    Args:
        features: of a token.
        heads: of attention.
        frames: the most there can be.
        param_dtype: dtype of the parameters.
        rngs: random streams of the initialisation.
    """

    def __init__(
        self, features: int, heads: int, frames: int, *, param_dtype: jnp.dtype, rngs: nnx.Rngs
    ):
        layer: Layer = {"param_dtype": param_dtype, "rngs": rngs}
        norm = {"affine": True, "eps": TOKEN_EPS, "param_dtype": param_dtype}
        self.norm_0, self.norm_1, self.norm_2 = (TokenNorm(features, **norm) for _ in range(3))
        self.attention_0 = CrossAttention(features, features, heads, **layer)
        self.attention_1 = CrossAttention(features, features, heads, **layer)
        self.feed_forward = FeedForward(features, MLP_RATIO * features, kind="geglu", **layer)
        first = jax.nn.initializers.normal(0.02)
        self.positions = nnx.Param(first(rngs.params(), (frames, features), param_dtype))

    def __call__(self, h: jax.Array) -> jax.Array:
        """[n, frames, features] to the same."""
        positions = self.positions[: h.shape[1]].astype(h.dtype)[None]
        for norm, attention in (
            (self.norm_0, self.attention_0),
            (self.norm_1, self.attention_1),
        ):
            seen = norm(h) + positions
            h = h + attention(seen, seen)
        return h + self.feed_forward(self.norm_2(h))


class Motion(nnx.Module):
    """A group norm, a dense layer, blocks of equation (1), a dense layer; and the video is added.

    Args:
        channels: of the video.
        heads: of attention.
        frames: the most there can be.
        depth: number of blocks.
        groups: of the group norm.
        remat: recompute each block in the backward pass instead of keeping its activations.
        param_dtype: dtype of the parameters.
        rngs: random streams of the initialisation.
    """

    def __init__(
        self,
        channels: int,
        *,
        heads: int,
        frames: int,
        depth: int,
        groups: int,
        remat: bool,
        param_dtype: jnp.dtype,
        rngs: nnx.Rngs,
    ):
        layer: Layer = {"param_dtype": param_dtype, "rngs": rngs}
        self.norm = GroupNorm(channels, groups=groups, param_dtype=param_dtype)
        self.dense_in = Dense(channels, channels, **layer)
        self.blocks = Stacked(
            lambda rngs: MotionBlock(channels, heads, frames, param_dtype=param_dtype, rngs=rngs),
            depth,
            remat=remat,
            rngs=rngs,
        )
        self.dense_out = Dense(channels, channels, **layer)
        self.dense_out.kernel = nnx.Param(jnp.zeros_like(self.dense_out.kernel[...]))
        self.frames = frames

    def __call__(self, x: jax.Array, frames: int) -> jax.Array:
        """The shape of x.

        Args:
            x: [videos frames, height, width, channels], a video's frames one after the other.
            frames: of a video.

        Raises:
            ValueError: there are more frames than this network knows.
        """
        if frames > self.frames:
            raise ValueError(f"{frames} frames, and this network knows at most {self.frames}")
        _, height, width, channels = x.shape
        video = x.reshape(-1, frames * height, width, channels)
        h = self.dense_in(self.norm(video)).reshape(x.shape)

        def moved(h: jax.Array) -> jax.Array:
            h, _ = self.blocks.scan(lambda block, h, _, __: (block(h), None), h, None)
            return self.dense_out(h)

        return x + across(h, frames, moved)
