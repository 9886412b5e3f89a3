"""ADM, the U-Net of Dhariwal and Nichol (2021, arXiv 2105.05233), and its classifier.

    ADM                      the defaults, and learn_variance=True, as released
    improved DDPM            resblock_resample=False, heads=4, learn_variance=True, as released
                             (Nichol and Dhariwal 2021, arXiv 2102.09672)
    EDM's ADM                early_conditions=("augment",) (Karras et al. 2022, arXiv 2206.00364)

It differs from NCSN++ and DDPM++ (models/unet.py) in that the embedding scales and shifts, that
attention has heads and follows every block of the decoder, and that the way around a block that
changes the size has no convolution.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import jax
import jax.numpy as jnp
from flax import nnx

from score_sde.models import arguments
from score_sde.models.arguments import Given, Width
from score_sde.models.blocks import Attention, Head, ResBlock
from score_sde.models.conditions.combined import NO_CONDITIONS, MakeEmbedding, token_features
from score_sde.models.embeddings import NoiseEmbedding
from score_sde.models.layers import Conv, Layer
from score_sde.models.resample import Downsample, Upsample
from score_sde.models.running import Runner, key_sequence
from score_sde.models.shapes import check_attention, check_state, image_shape, level_sizes
from score_sde.models.told import embed, make_early_and_late
from score_sde.values import Count, Every, Length, Name, NotNegative, Share, between

EPS = 1e-5  # of group norms

# That of images of 512 pixels begins with a half.
Multiples = Annotated[Sequence[Annotated[float, between(1 / 64, 1024)]], Length(1, 16)]


class Level(nnx.Module):
    """One size of the encoder or of the decoder.

    Attributes:
        blocks: residual blocks; of the decoder, each is also shown an output of the encoder.
        attentions: one after each block, or empty.
        resample: to the next size; None at the last.
    """

    def __init__(
        self,
        blocks: Sequence[ResBlock],
        attentions: Sequence[Attention],
        resample: ResBlock | Downsample | Upsample | None,
    ):
        self.blocks, self.attentions = nnx.List(blocks), nnx.List(attentions)
        self.resample = resample

    def steps(self) -> Sequence[tuple[ResBlock, Attention | None]]:
        """Each block with its attention."""
        return list(itertools.zip_longest(self.blocks, self.attentions))


class Encoder(nnx.Module):
    """The first half: down to the smallest size, and the blocks there.

    Args:
        build: makes the parts.
        data_channels: channels of the image.
    """

    def __init__(self, build: Builder, data_channels: int):
        self.conv_in = Conv(data_channels, build.widths[0], **build.layer)
        self.down = nnx.List(build.encoder())
        self.middle = nnx.List(build.middle())

    def __call__(self, x: jax.Array, run: Runner) -> tuple[jax.Array, list[jax.Array]]:
        """[batch, height, width, data channels] to features, and all that a decoder is shown."""
        h = self.conv_in(x)
        skips = [h]
        for level in self.down:
            for block, attention in level.steps():
                h = run(block, h)
                h = h if attention is None else run(attention, h)
                skips.append(h)
            if level.resample is not None:
                h = run(level.resample, h)
                skips.append(h)
        for part in self.middle:
            h = run(part, h)
        return h, skips


class ADM(nnx.Module):
    """The U-Net.

    Args:
        shape: of the data, (height, width, channels).
        channels: features at the largest size, before channel_mult.
        channel_mult: features at each size, from the largest, as multiples of `channels`.
        num_res_blocks: residual blocks at each size of the encoder; the decoder has one more.
        attn_resolutions: sizes at which there is attention, where the size of an image is its
          smaller side.
        heads: of attention; 0 for as many as there are head_channels in the features, and no
          attention where they have fewer.
        head_channels: features of a head, with heads=0.
        heads_up: heads of the decoder; 0 for as many as in the encoder.
        dropout: rate of the dropout in each residual block.
        scale_shift: the embedding scales and shifts; else it is added.
        resblock_resample: change the size inside a residual block; else by a convolution.
        learn_variance: whether there are as many output channels again, of a variance; see
          prediction.with_variance.
        embedding_multiple: features of the embedding as a multiple of `channels`.
        early_conditions: names of conditions that are added to the features of noise_label, before
          their two dense layers; the others are added after these.
        init_scale: of the last layers, see layers.init_kernel; 0 starts near the zero function.
        group_size: fewest channels in a group of a group norm; there are at most 32 groups.
        centered: whether data are in [-1, 1]; else they are in [0, 1] and mapped to [-1, 1] first.
        conditions: what makes the embedding of each condition, by name; see conditions.combined.
          All attention looks at the tokens of those that have some.
        dtype: of the computation; statistics, softmax and output stay in float32.
        param_dtype: of the parameters.
        remat: recompute each block in the backward pass instead of keeping its activations.
        rngs: random streams `params` and `constants` of the initialisation. None is kept.

    Raises:
        ValueError: an option that is unknown, or options that contradict each other.
    """

    def __init__(
        self,
        *,
        shape: Given[Sequence[int]] = (64, 64, 3),
        channels: Width = 192,
        channel_mult: Multiples = (1, 2, 3, 4),
        num_res_blocks: Annotated[int, between(1, 32)] = 3,
        attn_resolutions: Sequence[Count] = (32, 16, 8),
        heads: Every = 0,
        head_channels: Count = 64,
        heads_up: Every = 0,
        dropout: Share = 0.1,
        scale_shift: bool = True,
        resblock_resample: bool = True,
        learn_variance: Given[bool] = False,
        embedding_multiple: Annotated[int, between(1, 64)] = 4,
        early_conditions: Sequence[Name] = ("augment",),
        init_scale: NotNegative = 0.0,
        group_size: Count = 4,
        centered: Given[bool] = True,
        conditions: Given[Mapping[str, MakeEmbedding]] = NO_CONDITIONS,
        dtype: jnp.dtype = jnp.float32,
        param_dtype: Given[jnp.dtype] = jnp.float32,
        remat: bool = False,
        rngs: Given[nnx.Rngs],
    ):
        arguments.check(ADM, locals())
        self.shape = image_shape(shape, len(channel_mult) - 1)
        *sides, data_channels = self.shape
        check_attention(attn_resolutions, min(sides))
        self.centered, self.dtype, self.remat = centered, jnp.dtype(dtype), remat

        layer: Layer = {"param_dtype": param_dtype, "rngs": rngs}
        features = embedding_multiple * channels
        self.noise_embedding = NoiseEmbedding(
            channels, kind="cosines_first", multiple=embedding_multiple, **layer
        )
        self.early_conditions, self.conditions = make_early_and_late(
            conditions, early_conditions, self.noise_embedding, features, **layer
        )
        build = Builder(
            sizes=level_sizes(self.shape, len(channel_mult)),
            widths=widths(channels, channel_mult),
            num_res_blocks=num_res_blocks,
            attn_resolutions=attn_resolutions,
            heads=heads,
            head_channels=head_channels,
            n_embedding=features,
            dropout=dropout,
            scale_shift=scale_shift,
            resblock_resample=resblock_resample,
            init_scale=init_scale,
            group_size=group_size,
            seen=token_features(self.early_conditions, self.conditions),
            layer=layer,
        )
        self.encoder = Encoder(build, data_channels)
        self.up = nnx.List(build.decoder(heads_up or heads))
        self.head = build.head(build.widths[0], data_channels * (1 + learn_variance))

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
            noise_label: of each, [batch]: time steps, 0 to 999.
            cond: conditions by name, [batch, ...] each, see conditions.combined; None for none.
            key: JAX random key of dropout, of features and of conditions; None for neither.

        Returns:
            The shape of x, or twice its channels, in float32 (float64 for float64).

        Raises:
            ValueError: x is not of the network's shape, or cond has what it is not told.
        """
        check_state(x, self.shape)
        wide = jnp.promote_types(x.dtype, jnp.float32)
        compute = wide if wide == jnp.float64 else self.dtype
        keys = key_sequence(key)
        told = embed(
            self.noise_embedding,
            self.early_conditions,
            self.conditions,
            noise_label.astype(wide),
            cond,
            next(keys),
        )
        told = told.astype(compute)
        run = Runner(told.embedding, keys, self.remat, told.tokens)
        h, skips = self.encoder((x if self.centered else 2 * x - 1).astype(compute), run)
        for level in self.up:
            for block, attention in level.steps():
                h = run(block, jnp.concatenate([h, skips.pop()], axis=-1))
                h = h if attention is None else run(attention, h)
            if level.resample is not None:
                h = run(level.resample, h)
        return self.head(h).astype(wide)


def widths(channels: int, multiples: Sequence[float]) -> list[int]:
    """Features at each size; ValueError if a multiple gives none."""
    found = [round(channels * multiple) for multiple in multiples]
    for width, multiple in zip(found, multiples, strict=True):
        if width != channels * multiple or width < 1:
            raise ValueError(
                f"channels={channels} times {multiple} of channel_mult is not a whole number"
            )
    return found


@dataclasses.dataclass
class Builder:
    """Makes the parts in the order of their layers; see ADM for the options."""

    sizes: Sequence[int]  # of the levels, from the largest
    widths: Sequence[int]
    num_res_blocks: int
    attn_resolutions: Sequence[int]
    heads: int
    head_channels: int
    n_embedding: int
    dropout: float
    scale_shift: bool
    resblock_resample: bool
    init_scale: float
    group_size: int
    layer: Layer  # what every layer is given: param_dtype and rngs
    seen: int = 0  # features of the tokens that attention looks at besides; 0 for none
    skips: list[int] = dataclasses.field(default_factory=list)  # widths that the decoder is shown

    def encoder(self) -> list[Level]:
        """Levels from the largest size."""
        n, levels = self.widths[0], []
        self.skips = [n]
        for size, width in zip(self.sizes, self.widths, strict=True):
            blocks, attentions, resample = [], [], None
            for _ in range(self.num_res_blocks):
                blocks.append(self.block(n, width))
                n = width
                attentions += self.attention(n, self.heads) if size in self.attn_resolutions else []
                self.skips.append(n)
            if size != self.sizes[-1]:
                resample = (
                    self.block(n, n, "down")
                    if self.resblock_resample
                    else Downsample(n, n, fir=None, edge=(1, 1), **self.layer)
                )
                self.skips.append(n)
            levels.append(Level(blocks, attentions, resample))
        return levels

    def middle(self) -> list[ResBlock | Attention]:
        """Blocks of the smallest size, between encoder and decoder."""
        n = self.widths[-1]
        return [self.block(n, n), *self.attention(n, self.heads), self.block(n, n)]

    def decoder(self, heads: int) -> list[Level]:
        """Levels from the smallest size; uses up self.skips."""
        n, levels = self.widths[-1], []
        for size, width in reversed(list(zip(self.sizes, self.widths, strict=True))):
            blocks, attentions, resample = [], [], None
            for _ in range(self.num_res_blocks + 1):
                blocks.append(self.block(n + self.skips.pop(), width))
                n = width
                attentions += self.attention(n, heads) if size in self.attn_resolutions else []
            if size != self.sizes[0]:
                resample = (
                    self.block(n, n, "up")
                    if self.resblock_resample
                    else Upsample(n, n, fir=None, **self.layer)
                )
            levels.append(Level(blocks, attentions, resample))
        return levels

    def block(
        self, n_in: int, n_out: int, resample: Literal["up", "down"] | None = None
    ) -> ResBlock:
        """A residual block."""
        return ResBlock(
            n_in,
            n_out,
            n_embedding=self.n_embedding,
            kind="adm",
            resample=resample,
            fir=None,
            dropout_rate=self.dropout,
            skip_rescale=False,
            init_scale=self.init_scale,
            group_size=self.group_size,
            eps=EPS,
            scale_shift=self.scale_shift,
            **self.layer,
        )

    def attention(self, n: int, heads: int) -> list[Attention]:
        """Attention with so many heads, or heads of head_channels if 0; none of n below these."""
        heads = heads or n // self.head_channels
        if not heads:
            return []
        return [
            Attention(
                n,
                seen=self.seen,
                skip_rescale=False,
                init_scale=self.init_scale,
                group_size=self.group_size,
                heads=heads,
                eps=EPS,
                **self.layer,
            )
        ]

    def head(self, n_in: int, n_out: int) -> Head:
        """The last layers."""
        return Head(
            n_in, n_out, scale=self.init_scale, group_size=self.group_size, eps=EPS, **self.layer
        )
