"""The autoencoder of latent diffusion (Rombach et al. 2022, arXiv 2112.10752, Section 3.1).

An image x of H x W pixels becomes a Gaussian of latents z, each side 2^(levels - 1) times as small,

    q(z | x) = N(m, exp(l)),    (m, l) = W E(x) + b,    x ~ D(W' z + b'),                  (1)

with E and D convolutional, and self-attention at the smallest size. Its W and W' act on each pixel
alone; Stable Diffusion 3 and Flux have neither.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Annotated

import jax
import jax.numpy as jnp
from flax import nnx

from score_sde.models import arguments
from score_sde.models.adm import Level
from score_sde.models.arguments import Given, Width
from score_sde.models.blocks import Attention, Head, ResBlock
from score_sde.models.conditions.combined import (
    NO_CONDITIONS,
    MakeEmbedding,
    refuse_conditions,
)
from score_sde.models.layers import Conv, Dense, Layer
from score_sde.models.resample import Downsample, Upsample
from score_sde.models.running import Runner, key_sequence
from score_sde.values import Count, Length, Share, above, between

LOG_VARIANCES = (-30.0, 20.0)  # that they are kept between


class Autoencoder(nnx.Module):
    """Equation (1).

    Args:
        shape: (height, width, channels) of an image, which is checked; None for any.
        image_channels: channels of an image.
        latent_channels: channels of z.
        widths: features at each size, from the largest.
        num_res_blocks: residual blocks at each size of E; D has one more.
        groups: of the group norms; they divide all widths.
        eps: of the group norms.
        middle_attention: whether there is attention at the smallest size.
        quant: whether there are W and b.
        post_quant: whether there are W' and b'.
        dropout: rate of the dropout in each residual block.
        conditions: must be empty.
        centered: must be true: images are in [-1, 1].
        dtype: of the computation; statistics, softmax and results are in float32 or better.
        param_dtype: of the parameters.
        remat: recompute each block in the backward pass instead of keeping its activations.
        rngs: random streams of the initialisation.

    Raises:
        ValueError: groups do not divide a width, a side is no multiple of `factor`, or it is told
            a condition or of images in [0, 1].
    """

    def __init__(
        self,
        *,
        shape: Given[Sequence[int] | None] = None,
        image_channels: Given[int] = 3,
        latent_channels: Count = 4,
        widths: Annotated[Sequence[Width], Length(1, 16)] = (128, 256, 512, 512),
        num_res_blocks: Annotated[int, between(1, 32)] = 2,
        groups: Count = 32,
        eps: Annotated[float, above(0)] = 1e-6,
        middle_attention: bool = True,
        quant: bool = True,
        post_quant: bool = True,
        dropout: Share = 0.0,
        conditions: Given[Mapping[str, MakeEmbedding]] = NO_CONDITIONS,
        centered: Given[bool] = True,
        dtype: jnp.dtype = jnp.float32,
        param_dtype: Given[jnp.dtype] = jnp.float32,
        remat: bool = False,
        rngs: Given[nnx.Rngs],
    ):
        arguments.check(Autoencoder, locals())
        refuse_conditions(conditions)
        if not centered:
            raise ValueError("images must be in [-1, 1]: give config.space.pixels.centered=True")
        layer: Layer = {"param_dtype": param_dtype, "rngs": rngs}
        build = _Builder(
            tuple(widths), num_res_blocks, groups, eps, middle_attention, dropout, layer
        )
        self.image_channels, self.latent_channels = image_channels, latent_channels
        self.dtype, self.remat = jnp.dtype(dtype), remat
        self.factor = 2 ** (len(widths) - 1)
        if shape is not None:
            self._check_sides(shape)
        both = 2 * latent_channels
        self.encoder = Encoder(build, image_channels, both)
        self.quant = Dense(both, both, **layer) if quant else None
        self.post_quant = Dense(latent_channels, latent_channels, **layer) if post_quant else None
        self.decoder = Decoder(build, latent_channels, image_channels)

    def encode(
        self, images: jax.Array, *, key: jax.Array | None = None
    ) -> tuple[jax.Array, jax.Array]:
        """The Gaussian of the latents of images.

        Args:
            images: in [-1, 1], [batch, height, width, image_channels].
            key: JAX random key of dropout; None for none.

        Returns:
            Mean m and logarithm of the variance l, which is kept in LOG_VARIANCES, of shape
            [batch, height / factor, width / factor, latent_channels] each.

        Raises:
            ValueError: they have other channels, or a side is no multiple of `factor`.
        """
        _check(images, self.image_channels, "images")
        self._check_sides(images.shape[1:])
        compute, run = self._run(images, key)
        h = self.encoder(images.astype(compute), run)
        h = h if self.quant is None else self.quant(h)
        mean, log_variance = jnp.split(h.astype(_wide(images)), 2, axis=-1)
        return mean, jnp.clip(log_variance, *LOG_VARIANCES)

    def decode(self, z: jax.Array, *, key: jax.Array | None = None) -> jax.Array:
        """The images of latents; nothing keeps them in [-1, 1].

        Args:
            z: [batch, height, width, latent_channels].
            key: JAX random key of dropout; None for none.

        Returns:
            [batch, factor height, factor width, image_channels].

        Raises:
            ValueError: they have other channels.
        """
        _check(z, self.latent_channels, "latents")
        other = None if key is None else jax.random.fold_in(key, 1)  # than that of encode
        compute, run = self._run(z, other)
        h = z.astype(compute)
        h = h if self.post_quant is None else self.post_quant(h)
        return self.decoder(h, run).astype(_wide(z))

    def _check_sides(self, shape: Sequence[int]) -> None:
        if len(shape) != 3:
            raise ValueError(f"this network is for images, not for {tuple(shape)}")
        if shape[0] % self.factor or shape[1] % self.factor:
            raise ValueError(
                f"images are {shape[0]} x {shape[1]} pixels: both sides must be multiples of "
                f"{self.factor}"
            )

    def _run(self, x: jax.Array, key: jax.Array | None) -> tuple[jnp.dtype, Runner]:
        """The dtype of the computation, and what runs blocks."""
        wide = _wide(x)
        compute = wide if wide == jnp.float64 else self.dtype
        return compute, Runner(None, key_sequence(key), self.remat)


class Encoder(nnx.Module):
    """E of equation (1).

    Args:
        build: makes the parts.
        n_in: channels of an image.
        n_out: channels of the result.
    """

    def __init__(self, build: _Builder, n_in: int, n_out: int):
        self.conv_in = Conv(n_in, build.widths[0], **build.layer)
        self.down = nnx.List(build.down())
        self.middle = build.middle()
        self.head = build.head(build.widths[-1], n_out)

    def __call__(self, x: jax.Array, run: Runner) -> jax.Array:
        """[batch, height, width, n_in] to a map of n_out channels at the smallest size."""
        h = self.conv_in(x)
        for level in self.down:
            h = _through(level, h, run)
        return self.head(_through(self.middle, h, run))


class Decoder(nnx.Module):
    """D of equation (1).

    Args:
        build: makes the parts.
        n_in: channels of the latents.
        n_out: channels of an image.
    """

    def __init__(self, build: _Builder, n_in: int, n_out: int):
        self.conv_in = Conv(n_in, build.widths[-1], **build.layer)
        self.middle = build.middle()
        self.up = nnx.List(build.up())
        self.head = build.head(build.widths[0], n_out)

    def __call__(self, z: jax.Array, run: Runner) -> jax.Array:
        """[batch, height, width, n_in] to images of n_out channels."""
        h = _through(self.middle, self.conv_in(z), run)
        for level in self.up:
            h = _through(level, h, run)
        return self.head(h)


def _through(level: Level, h: jax.Array, run: Runner) -> jax.Array:
    for block, attention in level.steps():
        h = run(block, h)
        h = h if attention is None else run(attention, h)
    return h if level.resample is None else run(level.resample, h)


@dataclasses.dataclass(frozen=True)
class _Builder:
    """Makes the parts; see Autoencoder for the options."""

    widths: Sequence[int]
    num_res_blocks: int
    groups: int
    eps: float
    attention: bool
    dropout: float
    layer: Layer  # what every layer is given: param_dtype and rngs

    def down(self) -> list[Level]:
        """Levels from the largest size."""
        n, levels = self.widths[0], []
        for i, width in enumerate(self.widths):
            blocks = self._blocks(n, width, self.num_res_blocks)
            last = i == len(self.widths) - 1
            resample = None if last else Downsample(width, width, fir=None, **self.layer)
            levels.append(Level(blocks, [], resample))
            n = width
        return levels

    def middle(self) -> Level:
        """Blocks of the smallest size."""
        n = self.widths[-1]
        first, then = self._blocks(n, n, 2)
        attention = [
            Attention(
                n,
                skip_rescale=False,
                init_scale=1.0,
                groups=self.groups,
                eps=self.eps,
                **self.layer,
            )
        ]
        return Level([first, then], attention if self.attention else [], None)

    def up(self) -> list[Level]:
        """Levels from the smallest size."""
        n, levels = self.widths[-1], []
        for i, width in reversed(list(enumerate(self.widths))):
            blocks = self._blocks(n, width, self.num_res_blocks + 1)
            resample = None if i == 0 else Upsample(width, width, fir=None, **self.layer)
            levels.append(Level(blocks, [], resample))
            n = width
        return levels

    def head(self, n_in: int, n_out: int) -> Head:
        """The last layers of either half."""
        return Head(n_in, n_out, scale=1.0, groups=self.groups, eps=self.eps, **self.layer)

    def _blocks(self, n: int, width: int, count: int) -> list[ResBlock]:
        make = functools.partial(
            ResBlock,
            n_out=width,
            kind="adm",
            fir=None,
            skip_rescale=False,
            init_scale=1.0,
            n_embedding=0,
            dropout_rate=self.dropout,
            groups=self.groups,
            eps=self.eps,
            **self.layer,
        )
        return [make(n_in) for n_in in [n] + [width] * (count - 1)]


def _wide(x: jax.Array) -> jnp.dtype:
    return jnp.promote_types(x.dtype, jnp.float32)


def _check(x: jax.Array, channels: int, what: str) -> None:
    if x.ndim != 4 or x.shape[-1] != channels:
        raise ValueError(f"{what} are {x.shape}; they must be [batch, height, width, {channels}]")
