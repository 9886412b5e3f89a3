"""What looks along the frames of a video: attention, of each place or of all, and convolution.

Frames are images one after the other in the batch, [videos frames, ..., features], so that layers
of images know nothing of time. What stands between these layers looks along time alone, factorised
space-time attention: it is given the features of one place in all frames (Ho et al. 2022, arXiv
2204.03458, Section 3; Blattmann et al. 2023, arXiv 2304.08818, Section 3.1). Or it is joint: given
those of all places in all frames, it finds again what has moved (Bertasius et al. 2021, arXiv
2102.05095, Section 3, compare both), at a cost that grows with the square of the places. A
convolution over few frames sees what moves slowly at once (Blattmann et al. 2023, Section 3.1).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import nnx

from score_sde.models import tokens
from score_sde.models.embeddings import positional
from score_sde.models.layers import GroupNorm, Layer
from score_sde.models.sequence_conv import SequenceConv
from score_sde.models.transformer import SelfAttention, TokenNorm


def across(x: jax.Array, frames: int, of: Callable[[jax.Array], jax.Array]) -> jax.Array:
    """What a function makes of the features of each place in all frames; the shape of x.

    Args:
        x: [videos frames, ..., features], the frames of a video one after the other.
        frames: of a video.
        of: [n, frames, features] to the same, each of n on its own.
    """
    features = x.shape[-1]
    h = x.reshape(-1, frames, x[0].size // features, features).swapaxes(1, 2)
    h = of(h.reshape(-1, frames, features)).reshape(h.shape)
    return h.swapaxes(1, 2).reshape(x.shape)


def to_images(videos: jax.Array, patch: int) -> jax.Array:
    """So many frames one after the other as the channels of one image, those of the first first.

    As patches are of an image (Arnab et al. 2021, arXiv 2103.15691, Section 3.2; as channels of an
    image, Voleti et al. 2022, arXiv 2205.09853).

    Args:
        videos: [batch, frames, height, width, channels].
        patch: frames of an image, which divide those of a video.

    Returns:
        [batch frames / patch, height, width, patch channels].
    """
    *_, height, width, channels = videos.shape
    groups = jnp.moveaxis(videos.reshape(-1, patch, height, width, channels), 1, 3)
    return groups.reshape(-1, height, width, patch * channels)


def to_videos(images: jax.Array, frames: int, patch: int, channels: int) -> jax.Array:
    """The inverse of `to_images`, also of several such sets of channels after one another.

    Args:
        images: [batch frames / patch, height, width, n patch channels].
        frames: of a video.
        patch: frames of an image.
        channels: of a frame.

    Returns:
        [batch, frames, height, width, n channels].
    """
    _, height, width, _ = images.shape
    apart = images.reshape(
        -1, height, width, images.shape[-1] // (patch * channels), patch, channels
    )
    return jnp.moveaxis(apart, 4, 1).reshape(-1, frames, height, width, apart.shape[3] * channels)


class TimeAttention(nnx.Module):
    """x + W attention(norm(x) + p) over the frames of each place, or of all, W = 0 at first.

    p is sines and cosines of the frame's number: what is not in the picture yet may depend on when
    it is, such as where something that moves begins. Queries and keys are turned by rotary angles
    of their frames besides (Su et al. 2021, arXiv 2104.09864), joint ones by those of their rows
    and columns too, so that they see how far they are apart, as in Ho et al. 2022. As W is zero at
    first, exactly, a network of images with it is that network frame by frame until it is trained.

    Args:
        features: of x, a multiple of 2 heads, or of 8 heads if it is joint.
        heads: of attention.
        frames: of a video.
        joint: whether all places of all frames are seen; else each place sees itself alone.
        param_dtype: dtype of the parameters.
        rngs: random streams of the initialisation.

    Raises:
        ValueError: the features cannot be divided so.
    """

    def __init__(
        self,
        features: int,
        heads: int,
        frames: int,
        *,
        joint: bool = False,
        param_dtype: jnp.dtype,
        rngs: nnx.Rngs,
    ):
        least = (8 if joint else 2) * heads
        if features % least:
            raise ValueError(
                f"time_heads={heads}: {features} features must be a multiple of {least}"
            )
        self.norm = TokenNorm(features, affine=True, param_dtype=param_dtype)
        self.attention = SelfAttention(features, heads, param_dtype=param_dtype, rngs=rngs)
        kernel = self.attention.out.kernel
        kernel[...] = jnp.zeros_like(kernel[...])
        self.frames, self.head_features, self.joint = frames, features // heads, joint

    def __call__(self, x: jax.Array) -> jax.Array:
        """[videos frames, ..., features] to the same; if it is joint, ... are rows and columns."""
        wide = jnp.promote_types(x.dtype, jnp.float32)
        sizes = (self.frames, *x.shape[1:-1]) if self.joint else (self.frames, 1, 1)
        if self.joint:
            angles = tokens.volume_angles(sizes, self.head_features, wide)
        else:
            angles = tokens.line_angles(self.frames, self.head_features, tokens.ROTARY_BASE, wide)
        numbers = jnp.arange(self.frames, dtype=wide).repeat(sizes[1] * sizes[2])
        p = positional(numbers, x.shape[-1]).astype(x.dtype)[None]

        def of(h: jax.Array) -> jax.Array:
            return self.attention(self.norm(h) + p, angles)

        if self.joint:
            return x + of(x.reshape(-1, math.prod(sizes), x.shape[-1])).reshape(x.shape)
        return x + across(x, self.frames, of)


class TimeConv(nnx.Module):
    """x + conv(swish(norm(x))) over the frames of each place, whose kernel is 0 at first.

    Args:
        features: of x.
        taps: frames that the kernel sees, an odd number.
        frames: of a video.
        group_size: of the norm of each frame, see GroupNorm.
        param_dtype: dtype of the parameters.
        rngs: random streams of the initialisation.
    """

    def __init__(
        self,
        features: int,
        taps: int,
        frames: int,
        *,
        group_size: int,
        param_dtype: jnp.dtype,
        rngs: nnx.Rngs,
    ):
        layer: Layer = {"param_dtype": param_dtype, "rngs": rngs}
        self.norm = GroupNorm(features, group_size=group_size, param_dtype=param_dtype)
        self.conv = SequenceConv(features, features, taps, **layer)
        kernel = self.conv.dense.kernel
        kernel[...] = jnp.zeros_like(kernel[...])
        self.frames = frames

    def __call__(self, x: jax.Array) -> jax.Array:
        """[videos frames, height, width, features] to the same."""
        return x + across(jax.nn.silu(self.norm(x)), self.frames, self.conv)
