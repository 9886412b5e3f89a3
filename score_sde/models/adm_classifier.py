"""The classifier of noisy images of Dhariwal and Nichol (2021, arXiv 2105.05233, Section 4).

The first half of their U-Net, and attention that gathers the pixels in one (Radford et al. 2021,
arXiv 2103.00020, Section 2.4): a token of the mean of all, and its answer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated

import jax
import jax.numpy as jnp
from flax import nnx

from score_sde.checks import check_count
from score_sde.models import arguments
from score_sde.models.adm import EPS, Builder, Encoder, Multiples, widths
from score_sde.models.arguments import Given, Width
from score_sde.models.blocks import attend
from score_sde.models.conditions.combined import (
    NO_CONDITIONS,
    MakeEmbedding,
    check_told,
    refuse_conditions,
)
from score_sde.models.embeddings import NoiseEmbedding
from score_sde.models.layers import Dense, GroupNorm, Layer, Queries
from score_sde.models.running import Runner, key_sequence
from score_sde.models.shapes import check_attention, check_state, image_shape, level_sizes
from score_sde.models.spread import spread
from score_sde.values import Count, Every, Share, between


class AttentionPool(nnx.Module):
    """From features of pixels to numbers of the whole image.

    Args:
        channels: of the features.
        tokens: pixels of an image.
        n_out: how many numbers.
        heads: into which the channels are divided.
        param_dtype: dtype of the parameters.
        rngs: random streams of the initialisation.
    """

    def __init__(
        self,
        channels: int,
        tokens: int,
        n_out: int,
        *,
        heads: int,
        param_dtype: jnp.dtype,
        rngs: nnx.Rngs,
    ):
        layer: Layer = {"param_dtype": param_dtype, "rngs": rngs}
        places = jax.random.normal(rngs.params(), (tokens + 1, channels), param_dtype)
        self.positions = nnx.Param(places / math.sqrt(channels))  # the first is of the mean
        self.query = Dense(channels, channels, queries=Queries(channels // heads), **layer)
        self.key = Dense(channels, channels, **layer)
        self.value = Dense(channels, channels, **layer)
        self.out = Dense(channels, n_out, **layer)
        self.heads = heads

    def __call__(self, h: jax.Array) -> jax.Array:
        """[batch, height, width, channels] to [batch, n_out]."""
        tokens = h.reshape(len(h), -1, h.shape[-1])
        mean = tokens.mean(axis=1, keepdims=True)
        tokens = jnp.concatenate([mean, tokens], axis=1)
        tokens = tokens + spread(self.positions[...][None], tokens)
        query = self.query(tokens[:, :1])
        gathered = attend(query, self.key(tokens), self.value(tokens), self.heads)
        return self.out(gathered[:, 0])


class ADMClassifier(nnx.Module):
    """The classifier.

    Args:
        shape: of the data, (height, width, channels).
        classes: number of classes.
        channels: features at the largest size, before channel_mult.
        channel_mult: features at each size, from the largest, as multiples of `channels`.
        num_res_blocks: residual blocks at each size.
        attn_resolutions: sizes at which there is attention, where the size of an image is its
          smaller side.
        heads: of attention; 0 for as many as there are head_channels in the features.
        head_channels: features of a head, with heads=0, and always in the last layer.
        dropout: rate of the dropout in each residual block.
        scale_shift: the embedding scales and shifts; else it is added.
        resblock_resample: change the size inside a residual block; else by a convolution.
        group_size: fewest channels in a group of a group norm; there are at most 32 groups.
        conditions: must be empty.
        centered: whether data are in [-1, 1]; else they are in [0, 1] and mapped to [-1, 1] first.
        dtype: of the computation; statistics, softmax and output stay in float32.
        param_dtype: of the parameters.
        remat: recompute each block in the backward pass instead of keeping its activations.
        rngs: random streams of the initialisation. None is kept.

    Raises:
        ValueError: an option that cannot work.
    """

    def __init__(
        self,
        *,
        shape: Given[Sequence[int]] = (64, 64, 3),
        classes: Given[int] = 10,
        channels: Width = 128,
        channel_mult: Multiples = (1, 2, 3, 4),
        num_res_blocks: Annotated[int, between(1, 32)] = 2,
        attn_resolutions: Sequence[Count] = (32, 16, 8),
        heads: Every = 0,
        head_channels: Count = 64,
        dropout: Share = 0.0,
        scale_shift: bool = True,
        resblock_resample: bool = True,
        group_size: Count = 4,
        conditions: Given[Mapping[str, MakeEmbedding]] = NO_CONDITIONS,
        centered: Given[bool] = True,
        dtype: jnp.dtype = jnp.float32,
        param_dtype: Given[jnp.dtype] = jnp.float32,
        remat: bool = False,
        rngs: Given[nnx.Rngs],
    ):
        arguments.check(ADMClassifier, locals())
        check_count("classes", classes)
        refuse_conditions(conditions)
        self.shape = image_shape(shape, len(channel_mult) - 1)
        height, width, data_channels = self.shape
        check_attention(attn_resolutions, min(height, width))
        self.centered, self.dtype, self.remat = centered, jnp.dtype(dtype), remat

        layer: Layer = {"param_dtype": param_dtype, "rngs": rngs}
        self.noise_embedding = NoiseEmbedding(channels, kind="cosines_first", **layer)
        build = Builder(
            sizes=level_sizes(self.shape, len(channel_mult)),
            widths=widths(channels, channel_mult),
            num_res_blocks=num_res_blocks,
            attn_resolutions=attn_resolutions,
            heads=heads,
            head_channels=head_channels,
            n_embedding=4 * channels,
            dropout=dropout,
            scale_shift=scale_shift,
            resblock_resample=resblock_resample,
            init_scale=0.0,
            group_size=group_size,
            layer=layer,
        )
        self.encoder = Encoder(build, data_channels)
        n = build.widths[-1]
        self.norm = GroupNorm(n, group_size=group_size, eps=EPS, param_dtype=param_dtype)
        self.pool = AttentionPool(
            n,
            height * width // 4 ** (len(channel_mult) - 1),
            classes,
            heads=max(1, n // head_channels),
            **layer,
        )

    def __call__(
        self,
        x: jax.Array,
        noise_label: jax.Array,
        cond: Mapping[str, jax.Array] | None = None,
        *,
        key: jax.Array | None = None,
    ) -> jax.Array:
        """The logits of the classes at x.

        Args:
            x: noisy images, [batch, height, width, channels]; float64 is kept.
            noise_label: of each, [batch]: time steps, 0 to 999.
            cond: must be empty or None.
            key: JAX random key of dropout; None for none.

        Returns:
            [batch, classes], in float32 (float64 for float64).

        Raises:
            ValueError: x is not of the network's shape, or a condition is given.
        """
        check_state(x, self.shape)
        check_told(cond, ())
        wide = jnp.promote_types(x.dtype, jnp.float32)
        compute = wide if wide == jnp.float64 else self.dtype
        embedding = jax.nn.silu(self.noise_embedding(noise_label.astype(wide))).astype(compute)
        run = Runner(embedding, key_sequence(key), self.remat)
        h, _ = self.encoder((x if self.centered else 2 * x - 1).astype(compute), run)
        return self.pool(jax.nn.silu(self.norm(h))).astype(wide)
