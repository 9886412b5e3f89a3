"""ControlNet (Zhang et al. 2023, arXiv 2302.05543): a U-Net's encoder again, which sees an image.

With E_i the encoder's outputs, i = 0 ... n - 1, E_n that of the middle, and H an embedding of the
image, what the U-Net's decoder is shown gets

    s_i Z_i E_i(x + H(image)),    i = 0 ... n,                                             (1)

added, where x stands for the first features. Z_i and the last layer of H begin with zeros, so that
a network that is not trained yet changes nothing. s_i is the scale s, or in guess mode, for prompts
that say nothing, s 10^(i / n - 1): from a tenth of s to s, as in the released code.

It has the options of CrossUNet that concern its encoder. Both have arrays of the same names, those
that begin with told/ and encoder/: a ControlNet begins with a U-Net's.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import jax
import jax.numpy as jnp
from flax import nnx

from score_sde.models import arguments
from score_sde.models.added import MIDDLE, Added, skip
from score_sde.models.arguments import Given, Width
from score_sde.models.cross_embedding import TEXT, CrossEmbedding
from score_sde.models.cross_encoder import CrossEncoder, Depth, Levels, Plan, TextRunner
from score_sde.models.layers import Conv, Dense, Layer
from score_sde.models.running import key_sequence
from score_sde.values import Count, Every, Share, above, between


class ControlNet(nnx.Module):
    """Equation (1).

    Args:
        channels: of the state.
        widths: see CrossUNet; all options up to dropout too.
        control_channels: channels of the image.
        control_widths: features of H at each size, from the largest; the image is larger than the
            state by 2^(len(control_widths) - 1).
        pooled: show the decoder the mean over all positions instead.
        dtype: of the computation; statistics and softmax stay in float32.
        param_dtype: of the parameters.
        remat: recompute each block in the backward pass instead of keeping its activations.
        rngs: random streams of the initialisation.

    Raises:
        ValueError: options that contradict each other.
    """

    def __init__(
        self,
        *,
        channels: Count = 4,
        widths: Annotated[Sequence[Width], Levels] = (320, 640, 1280, 1280),
        num_res_blocks: Annotated[int, between(1, 32)] = 2,
        transformer_depth: Annotated[Sequence[Depth], Levels] = (1, 1, 1, 0),
        middle_depth: Depth = 1,
        heads: Annotated[Sequence[Count], Levels] = (8, 8, 8, 8),
        cross_only: Sequence[Depth] = (),
        text_features: Count = 768,
        added_features: Every = 0,
        size_features: Count = 256,
        image_features: Every = 0,
        labels: Every = 0,
        groups: Count = 32,
        eps: Annotated[float, above(0)] = 1e-5,
        dropout: Share = 0.0,
        control_channels: Count = 3,
        control_widths: Annotated[Sequence[Width], Levels] = (16, 32, 96, 256),
        pooled: bool = False,
        dtype: jnp.dtype = jnp.float32,
        param_dtype: Given[jnp.dtype] = jnp.float32,
        remat: bool = False,
        rngs: Given[nnx.Rngs],
    ):
        arguments.check(ControlNet, locals())
        layer: Layer = {"param_dtype": param_dtype, "rngs": rngs}
        self.pooled, self.dtype, self.remat = pooled, jnp.dtype(dtype), remat
        self.control_channels = control_channels
        self.factor = 2 ** (len(control_widths) - 1)
        self.told = CrossEmbedding(
            widths[0],
            guidance_features=0,
            added_features=added_features,
            size_features=size_features,
            image_features=image_features,
            labels=labels,
            conditions={},
            **layer,
        )
        plan = Plan(
            widths=widths,
            num_res_blocks=num_res_blocks,
            transformer_depth=transformer_depth,
            middle_depth=middle_depth,
            heads=heads,
            cross_only=cross_only,
            text_features=text_features,
            groups=groups,
            eps=eps,
            dropout=dropout,
            remat=remat,
            layer=layer,
        )
        self.encoder = CrossEncoder(plan, channels)
        self.hint = Hint(control_channels, control_widths, widths[0], **layer)
        self.skips, self.middle = zero_layers(plan.shown(), widths[-1], **layer)

    def __call__(
        self,
        x: jax.Array,
        noise_label: jax.Array,
        cond: Mapping[str, jax.Array] | None,
        control: jax.Array,
        *,
        scale: float | jax.Array = 1.0,
        guess: bool = False,
        key: jax.Array | None = None,
    ) -> dict[str, jax.Array]:
        """What a CrossUNet is called with as `added`.

        Args:
            x: noisy images, [batch, height, width, channels].
            noise_label: of each, [batch]: time steps, 0 to 999.
            cond: see CrossUNet; what this network is not told of it, it leaves to that one.
            control: in [0, 1], [batch, factor height, factor width, control_channels].
            scale: s, a number, or one for each example, [batch, 1, 1, 1].
            guess: whether in guess mode.
            key: of dropout; None for none.

        Raises:
            ValueError: the image is of another size, or see CrossEmbedding.
        """
        wide = jnp.promote_types(x.dtype, jnp.float32)
        compute = wide if wide == jnp.float64 else self.dtype
        self._check(x, control)
        cond = {name: v for name, v in (cond or {}).items() if name in (*TEXT, *self.told.read())}
        keys = key_sequence(key)
        told = self.told(noise_label.astype(wide), cond, next(keys))
        run = TextRunner(told.astype(compute), cond, keys, self.remat)
        hint = self.hint(control.astype(compute))
        h, skips = self.encoder(x.astype(compute), run, {}, hint)
        found = through(self.skips, self.middle, skips, h)
        if self.pooled:
            found = {name: a.mean(axis=(1, 2), keepdims=True) for name, a in found.items()}
        n = len(skips)
        parts = [10 ** (i / n - 1) if guess and not self.pooled else 1 for i in range(n + 1)]
        return {k: part * scale * a for part, (k, a) in zip(parts, found.items(), strict=True)}

    def _check(self, x: jax.Array, control: jax.Array) -> None:
        sides = (self.factor * n for n in x.shape[1:3])
        wanted = (len(x), *sides, self.control_channels)
        if control.shape != wanted:
            raise ValueError(
                f"the control image is {control.shape}; for a state of {x.shape} it must be "
                f"{wanted}"
            )


class Hint(nnx.Module):
    """H: convolutions and swishes; at each size but the smallest, one keeps it and one halves it.

    Args:
        n_in: channels of the image.
        widths: features at each size, from the largest.
        n_out: channels of the result.
        layer: param_dtype and rngs.
    """

    def __init__(self, n_in: int, widths: Sequence[int], n_out: int, **layer: Any):
        self.conv_in = Conv(n_in, widths[0], **layer)
        self.blocks = nnx.List()
        for n, then in itertools.pairwise(widths):
            self.blocks.append(Conv(n, n, **layer))
            self.blocks.append(Conv(n, then, stride=2, **layer))
        self.conv_out = zeroed(Conv(widths[-1], n_out, **layer))

    def __call__(self, image: jax.Array) -> jax.Array:
        """[batch, height, width, n_in] to [batch, height / factor, width / factor, n_out]."""
        h = jax.nn.silu(self.conv_in(image))
        for block in self.blocks:
            h = jax.nn.silu(block(h))
        return self.conv_out(h)


def weighted(parts: Sequence[tuple[float | jax.Array, Added]]) -> dict[str, jax.Array]:
    """The sum of what several networks add, each times its weight, by the names of where."""
    found: dict[str, jax.Array] = {}
    for weight, added in parts:
        for name, array in added.items():
            found[name] = found[name] + weight * array if name in found else weight * array
    return found


def zero_layers(shown: Sequence[int], middle: int, **layer: Any) -> tuple[nnx.List, Dense]:
    """Z_i for what a decoder is shown, of so many channels each, and for the middle."""
    made = nnx.List([zeroed(Dense(n, n, **layer)) for n in shown])
    return made, zeroed(Dense(middle, middle, **layer))


def through(
    layers: Sequence[Dense], middle: Dense, skips: Sequence[jax.Array], h: jax.Array
) -> dict[str, jax.Array]:
    """Z_i E_i, by the names of where they are added."""
    found = {skip(i): z(a) for i, (z, a) in enumerate(zip(layers, skips, strict=True))}
    return {**found, MIDDLE: middle(h)}


def zeroed(layer: Any) -> Any:
    """A layer whose kernel is zero, exactly."""
    layer.kernel = nnx.Param(jnp.zeros_like(layer.kernel[...]))
    return layer
