r"""The diffusion transformer of Stable Audio Open (Evans et al. 2024, arXiv 2407.14358).

A state is a sequence of latents of sound, [frames, channels]. Each frame is a token, and one more
stands before them,

    g = layers(beginning, length) + layers(noise level),                                       (1)

beginning and length in seconds, each by learned Fourier features and a dense layer. Blocks have
norms before and nothing of what is told in between,

    h <- h + attention(norm(h)),                      rotary positions of half of each head
    h <- h + cross_attention(norm(h), layers(tokens)),
    h <- h + layers(norm(h)),                         a gated layer (swiglu)                   (2)

where the tokens are those of the text, the beginning and the length; all of them are zero for an
example without a text, whose seconds (1) still tells. A head of keys and values serves several of
queries (Ainslie et al. 2023, arXiv 2305.13245). What stands before is left out in the end. The
noise level is the cosine process's t in [0, 1]. As public code has it: the classes
StableAudioDiTModel and StableAudioProjectionModel of `diffusers`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from score_sde.models import arguments, placing
from score_sde.models.arguments import Given
from score_sde.models.attention import attend
from score_sde.models.conditions.combined import (
    NO_CONDITIONS,
    MakeEmbedding,
    refuse_conditions,
)
from score_sde.models.conditions.given import given
from score_sde.models.embeddings import fourier
from score_sde.models.layers import Constant, Dense, Layer, Queries
from score_sde.models.stacked import Stacked
from score_sde.models.transformer import FeedForward, SelfAttention, TokenNorm
from score_sde.values import Count, Positive, between

FEATURES = 256  # of a number, before the dense layers
_EPS = 1e-5  # of norms


class SecondsEmbedding(nnx.Module):
    """A number in [0, 1]: itself with learned Fourier features, and a dense layer.

    Args:
        features: of the result.
        param_dtype: dtype of the parameters.
        rngs: random streams of the initialisation.
    """

    def __init__(self, features: int, *, param_dtype: jnp.dtype, rngs: nnx.Rngs):
        drawn = jax.random.normal(rngs.params(), (FEATURES // 2,), param_dtype)
        self.frequencies = nnx.Param(drawn)
        self.dense = Dense(FEATURES + 1, features, param_dtype=param_dtype, rngs=rngs)

    def __call__(self, number: jax.Array) -> jax.Array:
        """[batch] to [batch, features]."""
        waves = fourier(number, self.frequencies[...])
        return self.dense(jnp.concatenate([number[:, None], waves], axis=-1))


class GroupedCrossAttention(nnx.Module):
    """Attention to other tokens, in which several heads of queries share keys and values.

    Args:
        features: of a token that asks.
        others: of a token that is asked.
        heads: of queries, a multiple of `shared`.
        shared: heads of keys and values.
        param_dtype: dtype of the parameters.
        rngs: random streams of the initialisation.
    """

    def __init__(
        self,
        features: int,
        others: int,
        heads: int,
        shared: int,
        *,
        param_dtype: jnp.dtype,
        rngs: nnx.Rngs,
    ):
        layer = {"bias": False, "param_dtype": param_dtype, "rngs": rngs}
        self.heads, self.shared, self.size = heads, shared, features // heads
        asked = {"split": placing.outputs(heads), "queries": Queries(self.size)}
        self.query = Dense(features, features, **asked, **layer)
        split = placing.outputs(shared, parts=2)
        self.key_value = Dense(others, 2 * shared * self.size, split=split, **layer)
        self.out = Dense(features, features, split=placing.inputs(heads), **layer)

    def __call__(self, x: jax.Array, other: jax.Array, mask: jax.Array | None) -> jax.Array:
        """[batch, tokens, features] to the same; other [batch, n, others], mask bool [batch, n]."""
        made = self.key_value(other).reshape(*other.shape[:2], 2, self.shared, self.size)
        key, value = (
            jnp.repeat(made[:, :, i], self.heads // self.shared, axis=2) for i in range(2)
        )
        query = self.query(x).reshape(*x.shape[:2], self.heads, self.size)
        return self.out(attend(query, key, value, mask).reshape(x.shape))


class StableAudioBlock(nnx.Module):
    """Equation (2).

    Args:
        channels: features of a token.
        others: of a token that is told.
        heads: of attention.
        shared: heads of keys and values of what is told.
        hidden: size of the hidden layer on each token alone.
        param_dtype: dtype of the parameters.
        rngs: random streams of the initialisation.
    """

    def __init__(
        self,
        channels: int,
        others: int,
        heads: int,
        shared: int,
        *,
        hidden: int,
        param_dtype: jnp.dtype,
        rngs: nnx.Rngs,
    ):
        layer: Layer = {"param_dtype": param_dtype, "rngs": rngs}
        self.norm_0, self.norm_1, self.norm_2 = (
            TokenNorm(channels, affine=True, eps=_EPS, param_dtype=param_dtype) for _ in range(3)
        )
        self.attention = SelfAttention(channels, heads, bias=False, out_bias=False, **layer)
        self.cross_attention = GroupedCrossAttention(channels, others, heads, shared, **layer)
        # A gated layer has two thirds of what is asked for.
        self.feed_forward = FeedForward(channels, hidden * 3 // 2, kind="swiglu", **layer)

    def __call__(
        self, h: jax.Array, told: jax.Array, mask: jax.Array | None, angles: jax.Array
    ) -> jax.Array:
        """One block; h [batch, tokens, channels], told [batch, n, others], angles of positions."""
        h = h + self.attention(self.norm_0(h), angles)
        h = h + self.cross_attention(self.norm_1(h), told, mask)
        return h + self.feed_forward(self.norm_2(h))


class StableAudio(nnx.Module):
    """Stable Audio Open's transformer, for sequences of any length.

    Args:
        shape: of the data, (frames, channels).
        channels: features of a token, a multiple of 4 heads.
        depth: number of blocks.
        heads: of attention.
        key_value_heads: of attention to what is told, a divisor of heads.
        mlp_ratio: size of the hidden layer of each block, as a multiple of channels.
        text_features: features of a token of the text.
        longest: seconds, of which the numbers that are told are shares; more count as that.
        conditions: of the data, "start" and "seconds", which it embeds itself; or none, since it is
            told both anyway.
        dtype: of the computation; statistics, softmax and output stay in float32.
        param_dtype: of the parameters.
        remat: recompute each block in the backward pass instead of keeping its activations.
        rngs: random streams of the initialisation. None is kept.

    Raises:
        ValueError: an option that cannot be, or a shape of no sequence.
    """

    def __init__(
        self,
        *,
        shape: Given[Sequence[int]] = (1024, 64),
        channels: arguments.Width = 1536,
        depth: Annotated[int, between(1, 1024)] = 24,
        heads: Annotated[int, between(1, 2**16)] = 24,
        key_value_heads: Annotated[int, between(1, 2**16)] = 12,
        mlp_ratio: Annotated[int, between(1, 64)] = 4,
        text_features: Count = 768,
        longest: Positive = 512.0,
        conditions: Given[Mapping[str, MakeEmbedding]] = NO_CONDITIONS,
        dtype: jnp.dtype = jnp.float32,
        param_dtype: Given[jnp.dtype] = jnp.float32,
        remat: bool = False,
        rngs: Given[nnx.Rngs],
    ):
        arguments.check(StableAudio, locals())
        refuse_conditions(conditions, own=("start", "seconds"))
        if len(shape) != 2 or min(shape) < 1:
            raise ValueError(
                f"this network is for sequences, (frames, channels), not for {tuple(shape)}"
            )
        if channels % (4 * heads) or heads % key_value_heads:
            raise ValueError(
                f"channels={channels} must be a multiple of 4 heads={heads}, and that of "
                f"key_value_heads={key_value_heads}"
            )
        self.shape, self.longest, self.dtype = tuple(shape), longest, jnp.dtype(dtype)
        self.head_features = channels // heads
        self.told_of = {"text": (None, text_features), "start": (), "seconds": ()}

        plain: Layer = {"param_dtype": param_dtype, "rngs": rngs}
        bare = {"bias": False, **plain}
        frequencies = jax.random.normal(rngs.constants(), (FEATURES // 2,), param_dtype)
        self.frequencies = Constant(frequencies)
        self.noise_0 = Dense(FEATURES, channels, **plain)
        self.noise_1 = Dense(channels, channels, **plain)
        self.begins, self.lasts = (SecondsEmbedding(text_features, **plain) for _ in range(2))
        self.seconds_0 = Dense(2 * text_features, channels, **bare)
        self.seconds_1 = Dense(channels, channels, **bare)
        self.told_0 = Dense(text_features, text_features, **bare)
        self.told_1 = Dense(text_features, text_features, **bare)
        width = self.shape[-1]
        self.before = Dense(width, width, scale=0, **bare)
        self.dense_in = Dense(width, channels, **bare)
        self.blocks = Stacked(
            lambda rngs: StableAudioBlock(
                channels,
                text_features,
                heads,
                key_value_heads,
                hidden=mlp_ratio * channels,
                param_dtype=param_dtype,
                rngs=rngs,
            ),
            depth,
            remat=remat,
            rngs=rngs,
        )
        self.dense_out = Dense(channels, width, scale=0, **bare)
        self.after = Dense(width, width, scale=0, **bare)

    def __call__(
        self,
        x: jax.Array,
        noise_label: jax.Array,
        cond: Mapping[str, jax.Array] | None = None,
        *,
        key: jax.Array | None = None,
    ) -> jax.Array:
        """The network's output at x.

        Args:
            x: noisy latents, [batch, frames, channels]; float64 is kept.
            noise_label: noise level of each, [batch], in [0, 1].
            cond: "text", tokens of the text [batch, n, text_features], those of an example without
                one all zero or NaN; "start" and "seconds", [batch] each, where in a sound the
                example begins and how long that is; and "text_mask" [batch, n], 0 for each token
                that is not seen, if some are not.
            key: unused: nothing here is random.

        Returns:
            The shape of x, in float32 (float64 for float64).

        Raises:
            ValueError: x is no sequence of as many channels; or see conditions.given.
        """
        if x.ndim != 3 or x.shape[-1] != self.shape[-1]:
            raise ValueError(
                f"x is {x.shape}; this network is for sequences of {self.shape[-1]} channels"
            )
        found = given(cond, len(x), self.told_of, {"text_mask": (None,)})
        wide = jnp.promote_types(x.dtype, jnp.float32)
        compute = wide if wide == jnp.float64 else self.dtype
        seconds = [
            part(jnp.clip(found[name].astype(wide) / self.longest, 0, 1))
            for name, part in (("start", self.begins), ("seconds", self.lasts))
        ]
        first = self.seconds_1(jax.nn.silu(self.seconds_0(jnp.concatenate(seconds, axis=-1))))
        waves = _cosines_first(noise_label.astype(wide), self.frequencies[...])
        first = first + self.noise_1(jax.nn.silu(self.noise_0(waves)))
        text = found["text"].astype(wide)
        spoken = jnp.any(text != 0, axis=(1, 2)) & ~jnp.any(jnp.isnan(text), axis=(1, 2))
        tokens = jnp.concatenate([text, jnp.stack(seconds, axis=1)], axis=1)
        tokens = jnp.where(spoken[:, None, None], tokens, 0)  # the layers have no biases
        told = self.told_1(jax.nn.silu(self.told_0(tokens))).astype(compute)
        mask = found["text_mask"]
        if mask is not None:
            mask = jnp.pad(mask != 0, [(0, 0), (0, 2)], constant_values=True)

        x = x.astype(compute)
        h = self.dense_in(x + self.before(x))
        h = jnp.concatenate([first.astype(compute)[:, None], h], axis=1)
        angles = _angles(h.shape[1], self.head_features)
        h, _ = self.blocks.scan(lambda block, h, *_: (block(h, told, mask, angles), None), h, None)
        out = self.dense_out(h[:, 1:])
        return (out + self.after(out)).astype(wide)


def _cosines_first(label: jax.Array, frequencies: jax.Array) -> jax.Array:
    """The features of `fourier`, cosines before sines."""
    sines, cosines = jnp.split(fourier(label, frequencies), 2, axis=-1)
    return jnp.concatenate([cosines, sines], axis=-1)


def _angles(tokens: int, features: int) -> jax.Array:
    """Of rotary positions, [tokens, features / 2]: of half of the pairs; the others do not turn."""
    half = features // 4
    frequencies = 10_000 ** (-np.arange(half) / half)
    turning = np.arange(tokens)[:, None] * frequencies
    return jnp.asarray(np.concatenate([turning, np.zeros((tokens, features // 2 - half))], axis=1))
