r"""The autoencoder of Stable Audio (Evans et al. 2024, arXiv 2402.04825, Section 3.1): Oobleck.

A signal x of T samples becomes a Gaussian of T / F frames of latents, F the product of the factors,

    q(z | x) = N(m, s^2),    (m, r) = E(x),    s = softplus(r) + 1e-4,    x ~ D(z).            (1)

E and D are convolutional, with residual units of dilated convolutions before each strided one, as
in SoundStream (Zeghidour et al. 2021, arXiv 2107.03312), and Snake activations, which are periodic
(Ziyin et al. 2020, arXiv 2006.08195), with a frequency and an amplitude of each channel (BigVGAN,
arXiv 2206.04658, and its released code),

    snake(h) = h + sin(e^a h)^2 / e^b.                                                         (2)

As public code has it: the class AutoencoderOobleck of `diffusers`, whose weights are normalised by
a reparametrisation that is left out here.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from typing import Annotated

import jax
import jax.numpy as jnp
from flax import nnx

from score_sde.models import arguments
from score_sde.models.arguments import Given, Width
from score_sde.models.conditions.combined import (
    NO_CONDITIONS,
    MakeEmbedding,
    refuse_conditions,
)
from score_sde.models.layers import Layer, per_channel
from score_sde.models.running import Runner
from score_sde.models.sequence_conv import SequenceConv, SequenceSpread
from score_sde.values import Count, Length, between

_LEAST = 1e-4  # of a standard deviation
_EPS = 1e-9  # beside e^b


class Snake(nnx.Module):
    """Equation (2), with a and b of each channel.

    Args:
        features: channels.
        param_dtype: dtype of the parameters.
    """

    def __init__(self, features: int, *, param_dtype: jnp.dtype = jnp.float32):
        self.alpha = nnx.Param(jnp.zeros(features, param_dtype))
        self.beta = nnx.Param(jnp.zeros(features, param_dtype))

    def __call__(self, h: jax.Array) -> jax.Array:
        """[..., features] to the same."""
        frequency, amplitude = (per_channel(jnp.exp(p[...]), h) for p in (self.alpha, self.beta))
        return h + jnp.sin(frequency * h) ** 2 / (amplitude + _EPS)


class ResidualUnit(nnx.Module):
    """h + conv(snake(conv(snake(h)))), the first with 7 taps so many frames apart; h at first.

    Args:
        features: channels.
        dilation: frames from one tap to the next.
        param_dtype: dtype of the parameters.
        rngs: random streams of the initialisation.
    """

    def __init__(self, features: int, dilation: int, *, param_dtype: jnp.dtype, rngs: nnx.Rngs):
        layer: Layer = {"param_dtype": param_dtype, "rngs": rngs}
        self.snake_0 = Snake(features, param_dtype=param_dtype)
        self.conv_0 = SequenceConv(features, features, 7, dilation=dilation, **layer)
        self.snake_1 = Snake(features, param_dtype=param_dtype)
        self.conv_1 = SequenceConv(features, features, 1, scale=0, **layer)

    def __call__(self, h: jax.Array) -> jax.Array:
        """[batch, frames, features] to the same."""
        return h + self.conv_1(self.snake_1(self.conv_0(self.snake_0(h))))


class Narrowing(nnx.Module):
    """Residual units, and a convolution with a stride.

    Args:
        units: ResidualUnits, one after another.
        snake: of as many features.
        conv: SequenceConv.
    """

    def __init__(self, units: nnx.List, snake: Snake, conv: SequenceConv):
        self.units, self.snake, self.conv = units, snake, conv

    def __call__(self, h: jax.Array) -> jax.Array:
        """[batch, frames, n_in] to [batch, frames / stride, n_out]."""
        for unit in self.units:
            h = unit(h)
        return self.conv(self.snake(h))


class Widening(nnx.Module):
    """What spreads frames, and residual units.

    Args:
        snake: of the features that come.
        spread: SequenceSpread.
        units: ResidualUnits, one after another.
    """

    def __init__(self, snake: Snake, spread: SequenceSpread, units: nnx.List):
        self.snake, self.spread, self.units = snake, spread, units

    def __call__(self, h: jax.Array) -> jax.Array:
        """[batch, frames, n_in] to [batch, stride frames, n_out]."""
        h = self.spread(self.snake(h))
        for unit in self.units:
            h = unit(h)
        return h


class SoundAutoencoder(nnx.Module):
    """Equation (1), of signals of any length that is a multiple of the product of the factors.

    Args:
        shape: of a signal, (samples,) or (samples, channels), which is checked; None for any.
        signal_channels: of a signal, [samples, channels]; 0 of one that is [samples].
        latent_channels: channels of z.
        widths: features at each rate, from that of the signal; one more than factors.
        factors: by which the rate falls, one after another.
        dilations: of the residual units at each rate.
        conditions: must be empty.
        dtype: of the computation; results are in float32 or better.
        param_dtype: of the parameters.
        remat: recompute each block in the backward pass instead of keeping its activations.
        rngs: random streams of the initialisation.

    Raises:
        ValueError: there are not as many widths, the length is no multiple of `factor`, or it is
            told a condition or of images.
    """

    def __init__(
        self,
        *,
        shape: Given[Sequence[int] | None] = None,
        signal_channels: Given[int] = 0,
        latent_channels: Count = 64,
        widths: Annotated[Sequence[Width], Length(2, 17)] = (128, 128, 256, 512, 1024, 2048),
        factors: Annotated[Sequence[Annotated[int, between(1, 64)]], Length(1, 16)] = (
            *(2, 4, 4),
            *(8, 8),
        ),
        dilations: Annotated[Sequence[Annotated[int, between(1, 1024)]], Length(0, 16)] = (1, 3, 9),
        conditions: Given[Mapping[str, MakeEmbedding]] = NO_CONDITIONS,
        dtype: jnp.dtype = jnp.float32,
        param_dtype: Given[jnp.dtype] = jnp.float32,
        remat: bool = False,
        rngs: Given[nnx.Rngs],
    ):
        arguments.check(SoundAutoencoder, locals())
        refuse_conditions(conditions)
        if len(widths) != len(factors) + 1:
            raise ValueError(
                f"widths are {tuple(widths)}: give one more than factors, {tuple(factors)}"
            )
        self.signal_channels, self.latent_channels = signal_channels, latent_channels
        self.factor, self.dtype, self.remat = math.prod(factors), jnp.dtype(dtype), remat
        if shape is not None:
            self._check(shape)
        layer: Layer = {"param_dtype": param_dtype, "rngs": rngs}
        self.conv_in = SequenceConv(max(1, signal_channels), widths[0], 7, **layer)
        steps = list(zip(widths[:-1], widths[1:], factors, strict=True))
        snake = functools.partial(Snake, param_dtype=param_dtype)

        def units(features: int) -> nnx.List:
            return nnx.List([ResidualUnit(features, dilation, **layer) for dilation in dilations])

        def gathers(few: int, many: int, factor: int) -> SequenceConv:
            strided = {"stride": factor, "padding": -(-factor // 2)}
            return SequenceConv(few, many, 2 * factor, **strided, **layer)

        self.down = nnx.List(
            [Narrowing(units(few), snake(few), gathers(few, many, f)) for few, many, f in steps]
        )
        self.down_snake = snake(widths[-1])
        self.moments = SequenceConv(widths[-1], 2 * latent_channels, 3, **layer)
        self.latents = SequenceConv(latent_channels, widths[-1], 7, **layer)
        self.up = nnx.List(
            [
                Widening(snake(many), SequenceSpread(many, few, f, **layer), units(few))
                for few, many, f in steps[::-1]
            ]
        )
        self.up_snake = snake(widths[0])
        self.conv_out = SequenceConv(widths[0], max(1, signal_channels), 7, bias=False, **layer)

    def encode(
        self, signals: jax.Array, *, key: jax.Array | None = None
    ) -> tuple[jax.Array, jax.Array]:
        """The Gaussian of the latents of signals.

        Args:
            signals: [batch, samples], or [batch, samples, signal_channels] if there are any.
            key: unused: nothing here is random.

        Returns:
            Mean and logarithm of the variance, [batch, samples / factor, latent_channels] each.

        Raises:
            ValueError: they are of another shape.
        """
        self._check(signals.shape[1:])
        wide, run = self._run(signals)
        h = self.conv_in(signals.reshape(*signals.shape[:2], -1).astype(self._compute(wide)))
        for block in self.down:
            h = run(block, h)
        h = self.moments(self.down_snake(h)).astype(wide)
        mean, raw = jnp.split(h, 2, axis=-1)
        return mean, 2 * jnp.log(jax.nn.softplus(raw) + _LEAST)

    def decode(self, z: jax.Array, *, key: jax.Array | None = None) -> jax.Array:
        """The signals of latents; nothing keeps them in [-1, 1].

        Args:
            z: [batch, frames, latent_channels].
            key: unused: nothing here is random.

        Returns:
            [batch, factor frames], or [batch, factor frames, signal_channels].

        Raises:
            ValueError: they have other channels.
        """
        if z.ndim != 3 or z.shape[-1] != self.latent_channels:
            raise ValueError(
                f"latents are {z.shape}; they must be [batch, frames, {self.latent_channels}]"
            )
        wide, run = self._run(z)
        h = self.latents(z.astype(self._compute(wide)))
        for block in self.up:
            h = run(block, h)
        found = self.conv_out(self.up_snake(h)).astype(wide)
        return found if self.signal_channels else found[..., 0]

    def _check(self, shape: Sequence[int]) -> None:
        channels = tuple(shape[1:])
        if len(shape) not in (1, 2) or channels != (self.signal_channels,) * bool(
            self.signal_channels
        ):
            wanted = f"(samples, {self.signal_channels})" if self.signal_channels else "(samples,)"
            raise ValueError(f"this network is for signals, {wanted}, not for {tuple(shape)}")
        if shape[0] % self.factor:
            raise ValueError(
                f"signals have {shape[0]} samples: give a multiple of {self.factor}, the product "
                "of the factors"
            )

    def _run(self, x: jax.Array) -> tuple[jnp.dtype, Runner]:
        """The dtype of results, and what runs blocks."""
        return jnp.promote_types(x.dtype, jnp.float32), Runner(None, iter(()), self.remat)

    def _compute(self, wide: jnp.dtype) -> jnp.dtype:
        return wide if wide == jnp.float64 else self.dtype
