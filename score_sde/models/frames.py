"""Attention over the frames of a video, at each place of an image: factorised space-time attention.

Frames are images one after the other in the batch, [videos frames, ..., features], so that layers
of images know nothing of time. What stands between these layers looks along time alone: it is given
the features of one place in all frames (Ho et al. 2022, arXiv 2204.03458, Section 3; Blattmann et
al. 2023, arXiv 2304.08818, Section 3.1).
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import nnx

from score_sde.models import tokens
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


class TimeAttention(nnx.Module):
    """x + W attention(norm(x)) over the frames of each place, W = 0 at first.

    Its positions are relative, as in Ho et al. 2022: queries and keys are turned by rotary angles
    of their frames (Su et al. 2021, arXiv 2104.09864). As W is zero at first, exactly, a network of
    images with it is that network frame by frame until it is trained.

    Args:
        features: of x, a multiple of 2 heads.
        heads: of attention.
        frames: of a video.
        param_dtype: dtype of the parameters.
        rngs: random streams of the initialisation.

    Raises:
        ValueError: the features cannot be divided so.
    """

    def __init__(
        self, features: int, heads: int, frames: int, *, param_dtype: jnp.dtype, rngs: nnx.Rngs
    ):
        if features % (2 * heads):
            raise ValueError(
                f"time_heads={heads}: {features} features must be a multiple of {2 * heads}"
            )
        self.norm = TokenNorm(features, affine=True, param_dtype=param_dtype)
        self.attention = SelfAttention(features, heads, param_dtype=param_dtype, rngs=rngs)
        kernel = self.attention.out.kernel
        kernel[...] = jnp.zeros_like(kernel[...])
        self.frames, self.head_features = frames, features // heads

    def __call__(self, x: jax.Array) -> jax.Array:
        """[videos frames, ..., features] to the same."""
        wide = jnp.promote_types(x.dtype, jnp.float32)
        angles = tokens.line_angles(self.frames, self.head_features, tokens.ROTARY_BASE, wide)
        return x + across(x, self.frames, lambda h: self.attention(self.norm(h), angles))
