"""EDM2, the magnitude-preserving U-Net of Karras et al. (2023, arXiv 2312.02696, config G).

Its layers are those of models/magnitude.py. Two things control their weights: in each use they are
divided by their size, so that gradients are orthogonal to them; and each step of training begins
with the parameters themselves at unit size (functional.project), so that the length of a step means
the same all along. A last layer of its own says the logarithm of the loss's variance at a noise
level, u(t), which the loss of the paper (equation 21) learns beside the denoiser.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import jax
import jax.numpy as jnp
from flax import nnx

from score_sde.models import arguments
from score_sde.models.arguments import Given, Multiples
from score_sde.models.blocks import attend
from score_sde.models.conditions.combined import (
    NO_CONDITIONS,
    MakeEmbedding,
    check_told,
    make_embeddings,
)
from score_sde.models.layers import Layer, dropout, per_channel, unit_rms
from score_sde.models.magnitude import MPConv, MPDense, MPFourier, mp_cat, mp_silu, mp_sum
from score_sde.models.resample import double, halve
from score_sde.models.running import Runner, key_sequence
from score_sde.models.shapes import check_attention, check_state, image_shape, level_sizes
from score_sde.models.spread import spread
from score_sde.values import Count, Every, Positive, Share, between

# Features at the largest size, by the names of the paper.
SIZES = {"xs": 128, "s": 192, "m": 256, "l": 320, "xl": 384, "xxl": 448}


class MPAttention(nnx.Module):
    """Self-attention over pixels, of queries, keys and values of unit size in each head.

    Args:
        channels: channels of input and output.
        heads: into which they are divided, in order.
        param_dtype: dtype of the parameters.
        rngs: random streams of the initialisation.
    """

    def __init__(self, channels: int, heads: int, *, param_dtype: jnp.dtype, rngs: nnx.Rngs):
        if channels % heads:
            raise ValueError(f"{channels} features cannot be divided into {heads} heads")
        layer: Layer = {"param_dtype": param_dtype, "rngs": rngs}
        self.query = MPDense(channels, channels, **layer)
        self.key = MPDense(channels, channels, **layer)
        self.value = MPDense(channels, channels, **layer)
        self.out = MPDense(channels, channels, **layer)
        self.heads = heads

    def __call__(self, x: jax.Array) -> jax.Array:
        """[batch, height, width, channels] to the same."""
        tokens = x.reshape(len(x), -1, x.shape[-1])
        query, key, value = (
            self._unit(layer(tokens)) for layer in (self.query, self.key, self.value)
        )
        return self.out(attend(query, key, value, self.heads)).reshape(x.shape)

    def _unit(self, x: jax.Array) -> jax.Array:
        split = x.reshape(*x.shape[:2], self.heads, -1)
        return unit_rms(split, (3,)).reshape(x.shape)


class MPBlock(nnx.Module):
    """Residual block of the encoder, which normalises its pixels, or of the decoder.

    Args:
        n_in: channels of the input.
        n_out: channels of the output.
        n_embedding: features of the embedding.
        decodes: whether it is of the decoder.
        resample: None, "down" or "up".
        heads: of attention after the block; 0 for none.
        dropout_rate: in [0, 1).
        res_balance: share of the branch in its sum.
        attn_balance: share of attention in its sum.
        clip: largest magnitude that leaves the block.
        param_dtype: dtype of the parameters.
        rngs: random streams of the initialisation.
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        *,
        n_embedding: int,
        decodes: bool,
        resample: Literal["down", "up"] | None,
        heads: int,
        dropout_rate: float,
        res_balance: float,
        attn_balance: float,
        clip: float,
        param_dtype: jnp.dtype,
        rngs: nnx.Rngs,
    ):
        layer: Layer = {"param_dtype": param_dtype, "rngs": rngs}
        self.conv_0 = MPConv(n_in if decodes else n_out, n_out, **layer)
        self.dense = MPDense(n_embedding, n_out, **layer)
        self.gain = nnx.Param(jnp.zeros((), param_dtype))  # of the embedding
        self.conv_1 = MPConv(n_out, n_out, **layer)
        self.shortcut = MPDense(n_in, n_out, **layer) if n_in != n_out else None
        self.attention = MPAttention(n_out, heads, **layer) if heads else None
        self.decodes, self.resample, self.dropout_rate = decodes, resample, dropout_rate
        self.res_balance, self.attn_balance, self.clip = res_balance, attn_balance, clip

    def __call__(self, x: jax.Array, embedding: jax.Array, key: jax.Array | None) -> jax.Array:
        """One block.

        Args:
            x: [batch, height, width, n_in].
            embedding: [batch, n_embedding], after its swish.
            key: for dropout; None for none.
        """
        if self.resample is not None:
            x = {"down": halve, "up": double}[self.resample](x)
        if not self.decodes:
            x = unit_rms(x if self.shortcut is None else self.shortcut(x), (3,))
        h = self.conv_0(mp_silu(x))
        told = self.dense(embedding, self.gain[...]) + 1
        h = dropout(mp_silu(h * spread(per_channel(told, h), h)), self.dropout_rate, key)
        h = self.conv_1(h)
        if self.decodes and self.shortcut is not None:
            x = self.shortcut(x)
        x = mp_sum(x, h, self.res_balance)
        if self.attention is not None:
            x = mp_sum(x, self.attention(x), self.attn_balance)
        return jnp.clip(x, -self.clip, self.clip)


class MPLevel(nnx.Module):
    """One size of the encoder or of the decoder.

    Attributes:
        resample: from the size before; None at the first.
        blocks: the others; of the decoder, each is also shown an output of the encoder.
    """

    def __init__(self, resample: MPBlock | None, blocks: Sequence[MPBlock]):
        self.resample, self.blocks = resample, nnx.List(blocks)


class LogVariance(nnx.Module):
    """u of a noise level, the logarithm of the variance of the loss there (equation 21).

    Args:
        features: Fourier features of the noise level.
        param_dtype: dtype of the parameters.
        rngs: random streams of the initialisation.
    """

    def __init__(self, features: int, *, param_dtype: jnp.dtype, rngs: nnx.Rngs):
        self.fourier = MPFourier(features, param_dtype=param_dtype, rngs=rngs)
        self.dense = MPDense(features, 1, param_dtype=param_dtype, rngs=rngs)

    def __call__(self, noise_label: jax.Array) -> jax.Array:
        """[batch] to [batch]."""
        return self.dense(self.fourier(noise_label))[:, 0]


class EDM2(nnx.Module):
    """The U-Net.

    Args:
        shape: of the data, (height, width, channels).
        size: how many channels there are, a name in SIZES.
        channels: features at the largest size; 0 for those of `size`.
        channel_mult: features at each size, from the largest, as multiples of `channels`.
        num_res_blocks: residual blocks at each size of the encoder; the decoder has one more.
        attn_resolutions: sizes at which there is attention, where the size of an image is its
          smaller side.
        head_channels: features of a head of attention.
        dropout: rate of the dropout in each residual block.
        label_balance: share of the conditions in the embedding.
        concat_balance: share of the encoder in what a block of the decoder sees.
        res_balance: share of the branch of a residual block.
        attn_balance: share of attention.
        clip: largest magnitude that leaves a block.
        log_variance_features: Fourier features of u(t); see LogVariance.
        centered: whether data are in [-1, 1]; else they are in [0, 1] and mapped to [-1, 1] first.
        conditions: what makes the embedding of each condition, by name; see conditions.combined.
        dtype: of the computation; weights, softmax and output stay in float32.
        param_dtype: of the parameters.
        remat: recompute each block in the backward pass instead of keeping its activations.
        rngs: random streams `params` and `constants` of the initialisation. None is kept.

    Raises:
        ValueError: an option that is unknown, or options that contradict each other.
    """

    def __init__(
        self,
        *,
        shape: Given[Sequence[int]] = (64, 64, 4),
        size: Literal["xs", "s", "m", "l", "xl", "xxl"] = "s",
        channels: Every = 0,
        channel_mult: Multiples = (1, 2, 3, 4),
        num_res_blocks: Annotated[int, between(1, 32)] = 3,
        attn_resolutions: Sequence[Count] = (16, 8),
        head_channels: Count = 64,
        dropout: Share = 0.0,
        label_balance: Share = 0.5,
        concat_balance: Share = 0.5,
        res_balance: Share = 0.3,
        attn_balance: Share = 0.3,
        clip: Positive = 256.0,
        log_variance_features: Count = 128,
        centered: Given[bool] = True,
        conditions: Given[Mapping[str, MakeEmbedding]] = NO_CONDITIONS,
        dtype: jnp.dtype = jnp.float32,
        param_dtype: Given[jnp.dtype] = jnp.float32,
        remat: bool = False,
        rngs: Given[nnx.Rngs],
    ):
        arguments.check(EDM2, locals())
        self.shape = image_shape(shape, len(channel_mult) - 1)
        *sides, data_channels = self.shape
        check_attention(attn_resolutions, min(sides))
        self.centered, self.dtype, self.remat = centered, jnp.dtype(dtype), remat
        self.label_balance, self.concat_balance = label_balance, concat_balance

        layer: Layer = {"param_dtype": param_dtype, "rngs": rngs}
        widths = [(channels or SIZES[size]) * multiple for multiple in channel_mult]
        n_embedding = max(widths)
        self.fourier = MPFourier(widths[0], **layer)
        self.noise_dense = MPDense(widths[0], n_embedding, **layer)
        self.conditions = make_embeddings(conditions, n_embedding, unit=True, **layer)
        build = _Builder(
            sizes=level_sizes(self.shape, len(channel_mult)),
            widths=widths,
            num_res_blocks=num_res_blocks,
            attn_resolutions=attn_resolutions,
            head_channels=head_channels,
            options={
                "n_embedding": n_embedding,
                "dropout_rate": dropout,
                "res_balance": res_balance,
                "attn_balance": attn_balance,
                "clip": clip,
                **layer,
            },
        )
        self.conv_in = MPConv(data_channels + 1, widths[0], **layer)
        self.down = nnx.List(build.encoder())
        self.middle = nnx.List(build.middle())
        self.up = nnx.List(build.decoder())
        self.conv_out = MPConv(widths[0], data_channels, **layer)
        self.gain = nnx.Param(jnp.zeros((), param_dtype))  # of the output
        self.u = LogVariance(log_variance_features, **layer)

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
            x: noisy images, [batch, height, width, channels]; float64 is kept.
            noise_label: of each, [batch]: log(sigma / alpha) / 4.
            cond: conditions by name, [batch, ...] each, see conditions.combined; None for none.
            key: JAX random key of dropout, of features and of conditions; None for neither.

        Returns:
            The shape of x, in float32 (float64 for float64).

        Raises:
            ValueError: x is not of the network's shape, or cond has what it is not told.
        """
        check_state(x, self.shape)
        wide = jnp.promote_types(x.dtype, jnp.float32)
        compute = wide if wide == jnp.float64 else self.dtype
        keys = key_sequence(key)
        embedding = self._embed(noise_label.astype(wide), cond, next(keys)).astype(compute)
        run = Runner(embedding, keys, self.remat)
        x = (x if self.centered else 2 * x - 1).astype(compute)
        # The channel of ones stands for the biases that no layer has.
        h = self.conv_in(jnp.concatenate([x, jnp.ones_like(x[..., :1])], axis=-1))
        skips = [h]
        for level in self.down:
            for block in (*([level.resample] if level.resample else []), *level.blocks):
                h = run.told(block, h)
                skips.append(h)
        for block in self.middle:
            h = run.told(block, h)
        for level in self.up:
            h = h if level.resample is None else run.told(level.resample, h)
            for block in level.blocks:
                h = run.told(block, mp_cat(h, skips.pop(), self.concat_balance))
        return self.conv_out(h, self.gain[...]).astype(wide)

    def log_variance(self, noise_label: jax.Array) -> jax.Array:
        """u(t), [batch], of noise_label [batch]; see LogVariance."""
        return self.u(noise_label.astype(jnp.promote_types(noise_label.dtype, jnp.float32)))

    def _embed(
        self, noise_label: jax.Array, cond: Mapping[str, jax.Array] | None, key: jax.Array | None
    ) -> jax.Array:
        """What the blocks are told, [batch, features]."""
        embedding = self.noise_dense(self.fourier(noise_label))
        if self.conditions is None:
            check_told(cond, ())
        else:
            told = self.conditions(cond, len(noise_label), key) / math.sqrt(len(self.conditions))
            embedding = mp_sum(embedding, told.astype(embedding.dtype), self.label_balance)
        return mp_silu(embedding)


@dataclasses.dataclass
class _Builder:
    """Makes the blocks of an EDM2 in the order in which they run; see EDM2 for the options."""

    sizes: Sequence[int]  # of the levels, from the largest
    widths: Sequence[int]
    num_res_blocks: int
    attn_resolutions: Sequence[int]
    head_channels: int
    options: dict[str, Any]  # of every block
    skips: list[int] = dataclasses.field(default_factory=list)  # widths that the decoder is shown

    def encoder(self) -> list[MPLevel]:
        """Levels from the largest size."""
        n, levels = self.widths[0], []
        self.skips = [n]
        for i, (size, width) in enumerate(zip(self.sizes, self.widths, strict=True)):
            resample = self.block(n, n, resample="down") if i else None
            self.skips += [n] if i else []
            blocks = []
            for _ in range(self.num_res_blocks):
                blocks.append(self.block(n, width, attends=size in self.attn_resolutions))
                n = width
                self.skips.append(n)
            levels.append(MPLevel(resample, blocks))
        return levels

    def middle(self) -> list[MPBlock]:
        """Blocks of the smallest size, between encoder and decoder."""
        n = self.widths[-1]
        return [self.block(n, n, decodes=True, attends=True), self.block(n, n, decodes=True)]

    def decoder(self) -> list[MPLevel]:
        """Levels from the smallest size; uses up self.skips."""
        n, levels = self.widths[-1], []
        for size, width in reversed(list(zip(self.sizes, self.widths, strict=True))):
            first = size == self.sizes[-1]
            resample = None if first else self.block(n, n, decodes=True, resample="up")
            blocks, attends = [], size in self.attn_resolutions
            for _ in range(self.num_res_blocks + 1):
                blocks.append(
                    self.block(n + self.skips.pop(), width, decodes=True, attends=attends)
                )
                n = width
            levels.append(MPLevel(resample, blocks))
        return levels

    def block(
        self,
        n_in: int,
        n_out: int,
        *,
        decodes: bool = False,
        resample: Literal["down", "up"] | None = None,
        attends: bool = False,
    ) -> MPBlock:
        """One block; attention has heads of head_channels, and there is none of fewer features."""
        heads = n_out // self.head_channels if attends else 0
        return MPBlock(n_in, n_out, decodes=decodes, resample=resample, heads=heads, **self.options)
