"""NCSN++ and DDPM++, the U-Nets of Song et al. (2021, arXiv 2011.13456, Appendix H), and DDPM.

All are one network with options:

    DDPM                     resblock="ddpm", skip_rescale=False, group_size=1
    DDPM++                   resblock="biggan", embedding="positional"
    NCSN++                   DDPM++ with fir=True, progressive_input="residual", and for VE SDEs
                             embedding="fourier", scale_by_sigma=True
    NCSN++ at high           progressive_input="input_skip", progressive_output="output_skip"
    resolution
    EDM's of both            early_conditions=("augment", "label"), and for its NCSN++
                             embedding="fourier_label" (Karras et al. 2022, arXiv 2206.00364)
"""

import functools
import itertools
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import jax
import jax.numpy as jnp
from flax import nnx

from score_sde.checks import present
from score_sde.models import added as places
from score_sde.models import arguments, beside, tokens
from score_sde.models.added import NOTHING, Added, to_decoder
from score_sde.models.arguments import Given, Multiples, Width
from score_sde.models.beside import Beside
from score_sde.models.conditions.combined import NO_CONDITIONS, MakeEmbedding, token_features
from score_sde.models.embeddings import NoiseEmbedding, Powers, check_label, with_fourier_features
from score_sde.models.layers import Conv, Layer
from score_sde.models.running import Runner, key_sequence
from score_sde.models.shapes import check_attention, check_state, image_shape, level_sizes
from score_sde.models.told import Cond, Told, embed, make_early_and_late
from score_sde.models.unet_levels import Builder
from score_sde.values import Count, Length, Name, NotNegative, Positive, Share, between


class UNet(nnx.Module):
    """NCSN++, DDPM++ or DDPM.

    Args:
        shape: of the data, (height, width, channels).
        patch: side of the squares of pixels that become the channels of one, so that the largest
          size is that of the data over it (Luhman and Luhman 2022, arXiv 2207.04316).
        channels: features at the largest size.
        channel_mult: features at each size, from the largest, as multiples of `channels`.
        num_res_blocks: residual blocks at each size of the encoder; the decoder has one more.
        attn_resolutions: sizes at which there is attention, where the size of an image, or of what
          its patches become, is its smaller side.
        dropout: rate of the dropout in each residual block.
        resblock: "biggan" changes the size inside a residual block, "ddpm" between two.
        fir: change the size with a FIR filter.
        fir_kernel: the filter in one dimension.
        skip_rescale: divide each sum of two branches by sqrt(2).
        resamp_with_conv: a convolution at each change of size, for resblock="ddpm".
        progressive_input: how the image enters at smaller sizes.
        progressive_output: how an image is taken from smaller sizes.
        progressive_combine: how progressive_input="input_skip" joins image and features.
        embedding: of noise_label: "positional" is for labels from 0 to about 1000, "fourier" takes
          their logarithm and is for sigma, "fourier_label" is for logarithms themselves.
        fourier_scale: standard deviation of the frequencies of a Fourier embedding.
        fourier_features: powers n, for each of which sin and cos of 2^n pi z of the input z, in
          [-1, 1], stand beside z: details of the size of data's levels (VDM, Kingma et al. 2021,
          arXiv 2107.00630, Appendix C). A period is as long as one level if 2^n is the number of
          levels less one, and as two for the power before.
        conditional: whether the network is told noise_label.
        early_conditions: names of conditions that are added to the features of noise_label, before
          their two dense layers; the others are added after these.
        scale_by_sigma: divide the output by noise_label, which must then be sigma.
        centered: whether data are in [-1, 1]; else they are in [0, 1] and mapped to [-1, 1] first.
        init_scale: of the last layers, see layers.init_kernel; 0 starts near the zero function.
        group_size: fewest channels in a group of a group norm; there are at most 32 groups.
        noise_label: what of the time it is called with, a name in noise_labels.NOISE_LABELS, which
          is checked; None if that is not known.
        learn_variance: whether there are as many output channels again, of a variance; see
          prediction.with_variance.
        conditions: what makes the embedding of each condition, by name; see conditions.combined.
          All attention looks at the tokens of those that have some; images are seen beside the
          state, see models.beside.
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
        shape: Given[Sequence[int]] = (32, 32, 3),
        patch: Count = 1,
        channels: Width = 128,
        channel_mult: Multiples = (1, 2, 2, 2),
        num_res_blocks: Annotated[int, between(1, 32)] = 4,
        attn_resolutions: Sequence[Count] = (16,),
        dropout: Share = 0.1,
        resblock: Literal["biggan", "ddpm"] = "biggan",
        fir: bool = False,
        fir_kernel: Annotated[Sequence[float], Length(2, 64)] = (1, 3, 3, 1),
        skip_rescale: bool = True,
        resamp_with_conv: bool = True,
        progressive_input: Literal["none", "input_skip", "residual"] = "none",
        progressive_output: Literal["none", "output_skip", "residual"] = "none",
        progressive_combine: Literal["sum", "cat"] = "sum",
        embedding: Literal["positional", "fourier", "fourier_label"] = "positional",
        fourier_scale: Positive = 16.0,
        fourier_features: Powers = (),
        conditional: bool = True,
        early_conditions: Sequence[Name] = (),
        scale_by_sigma: bool = False,
        centered: Given[bool] = True,
        init_scale: NotNegative = 0.0,
        group_size: Count = 4,
        noise_label: Given[str | None] = None,
        learn_variance: Given[bool] = False,
        conditions: Given[Mapping[str, MakeEmbedding]] = NO_CONDITIONS,
        dtype: jnp.dtype = jnp.float32,
        param_dtype: Given[jnp.dtype] = jnp.float32,
        remat: bool = False,
        rngs: Given[nnx.Rngs],
    ):
        arguments.check(UNet, locals())
        _check_kernel(fir_kernel)
        check_label(noise_label, embedding, conditional, scale_by_sigma)
        self.patch = patch
        self.shape = image_shape(shape, len(channel_mult) - 1, patch)
        self.sides = tuple(side // patch for side in self.shape[:2])
        data_channels = self.shape[-1] * patch**2
        if learn_variance and (scale_by_sigma or progressive_output == "output_skip"):
            raise ValueError(
                "a learned variance goes with scale_by_sigma=False and progressive_output=none or "
                "residual"
            )
        outputs = data_channels * (1 + learn_variance)
        check_attention(attn_resolutions, min(self.sides))
        self.scale_by_sigma, self.centered = scale_by_sigma, centered
        self.dtype, self.remat = jnp.dtype(dtype), remat
        self.fir = tuple(fir_kernel) if fir else None

        layer: Layer = {"param_dtype": param_dtype, "rngs": rngs}
        self.noise_embedding = (
            NoiseEmbedding(channels, kind=embedding, fourier_scale=fourier_scale, **layer)
            if conditional
            else None
        )
        told, images = beside.apart(conditions)
        self.early_conditions, self.conditions = make_early_and_late(
            told, early_conditions, self.noise_embedding, 4 * channels, **layer
        )
        self.fourier_features = tuple(fourier_features)
        inputs = data_channels * (1 + 2 * len(self.fourier_features))
        self.conv_in = Conv(inputs, channels, **layer)
        first = functools.partial(Conv, n_out=channels, use_bias=False, **layer)
        self.beside = self._beside(images, patch, first) if images else None
        build = self._builder(
            sizes=level_sizes(self.sides, len(channel_mult)),
            data_channels=data_channels,
            widths=[channels * multiple for multiple in channel_mult],
            num_res_blocks=num_res_blocks,
            attn_resolutions=attn_resolutions,
            resblock=resblock,
            fir=self.fir,
            resamp_with_conv=resamp_with_conv,
            progressive_input=progressive_input,
            progressive_output=progressive_output,
            progressive_combine=progressive_combine,
            n_embedding=4 * channels if conditional or told else 0,
            dropout=dropout,
            skip_rescale=skip_rescale,
            group_size=group_size,
            init_scale=init_scale,
            seen=token_features(self.early_conditions, self.conditions),
            layer=layer,
        )
        self.down = nnx.List(build.encoder(channels))
        self.shown = tuple(build.skips)  # channels of all that the decoder is shown
        self.middle = nnx.List(build.middle())
        self.up = nnx.List(build.decoder())
        self.head = (
            build.head(channels * channel_mult[0], outputs, init_scale)
            if progressive_output != "output_skip"
            else None
        )

    def __call__(
        self,
        x: jax.Array,
        noise_label: jax.Array,
        cond: Mapping[str, jax.Array] | None = None,
        *,
        added: Added = NOTHING,
        key: jax.Array | None = None,
    ) -> jax.Array:
        """The network's output at x.

        Args:
            x: noisy images, [batch, height, width, channels]; float64 is kept.
            noise_label: noise level of each, [batch]: 999 t for VP SDEs, sigma(t) for VE SDEs.
            cond: conditions by name, [batch, ...] each, see conditions.combined; None for none.
            added: arrays that are added to features, by where; see models.added.
            key: JAX random key of dropout, of features and of conditions; None for neither.

        Returns:
            The shape of x, in float32 (float64 for float64); twice the channels with
            learn_variance.

        Raises:
            ValueError: x is not of the network's shape, cond has what it is not told, or something
              is added where nothing can be.
        """
        places.check(added, len(self.shown))
        run, h, skips = self._features(x, noise_label, cond, None, key)
        wide = jnp.promote_types(x.dtype, jnp.float32)
        out = self._decode(*to_decoder(h, skips, added), run).astype(wide)
        out = tokens.from_channels(out, self.patch)
        return out / noise_label.astype(wide)[:, None, None, None] if self.scale_by_sigma else out

    def features(
        self,
        x: jax.Array,
        noise_label: jax.Array,
        cond: Mapping[str, jax.Array] | None = None,
        *,
        hint: jax.Array | None = None,
        key: jax.Array | None = None,
    ) -> tuple[jax.Array, list[jax.Array]]:
        """The features of the smallest size, and all that the decoder is shown, `shown` each.

        Args:
            x: see __call__; so are the others.
            noise_label: of each, [batch].
            cond: conditions.
            hint: added to the first features, [batch, height, width, channels]; None for nothing.
            key: of dropout.
        """
        return self._features(x, noise_label, cond, hint, key)[1:]

    def without_decoder(self) -> nnx.Module:
        """Itself, of which nothing is left but what `features` needs."""
        self.up, self.head = nnx.List([]), None
        return self

    def _features(
        self,
        x: jax.Array,
        noise_label: jax.Array,
        cond: Mapping[str, jax.Array] | None,
        hint: jax.Array | None,
        key: jax.Array | None,
    ) -> tuple[Runner, jax.Array, list[jax.Array]]:
        """What runs the blocks, too."""
        check_state(x, self.shape)
        wide = jnp.promote_types(x.dtype, jnp.float32)
        compute = wide if wide == jnp.float64 else self.dtype
        keys = key_sequence(key)
        cond, images = beside.values(cond, self.beside)
        told = self._told(noise_label.astype(wide), cond, next(keys)).astype(compute)
        if self.beside is not None:
            shown = self.beside(images, len(x), compute, key)
            hint = shown if hint is None else hint + shown
        run = Runner(told.embedding, keys, self.remat, told.tokens)
        x = x if self.centered else 2 * x - 1
        seen = with_fourier_features(x.astype(wide), self.fourier_features).astype(compute)
        x, seen = (tokens.to_channels(a, self.patch) for a in (x, seen))
        h, skips = self._encode(x.astype(compute), seen, hint, run)
        for block in self.middle:
            h = run(block, h)
        return run, h, skips

    def _builder(self, **options: Any) -> Builder:
        """What makes the blocks."""
        return Builder(**options)

    def _beside(self, *args: Any) -> Beside:
        """What is seen beside each image, of conditions, the patch and the first layer."""
        return Beside(self.shape[:2], 0, *args)

    def _told(self, noise_label: jax.Array, cond: Cond, key: jax.Array | None) -> Told:
        """What the blocks are told of each image; see models.told.embed."""
        own = self.noise_embedding, self.early_conditions, self.conditions
        return embed(*own, noise_label, cond, key)

    def _encode(
        self, x: jax.Array, seen: jax.Array, hint: jax.Array | None, run: Runner
    ) -> tuple[jax.Array, list[jax.Array]]:
        """Features of the smallest size, and all that the decoder is shown."""
        pyramid, h = x, self.conv_in(seen)
        h = h if hint is None else h + hint.astype(h.dtype)
        skips = [h]
        for level in self.down:
            for block, attention in itertools.zip_longest(level.blocks, level.attentions):
                h = run(block, h)
                h = h if attention is None else run(attention, h)
                skips.append(h)
            if level.resample is not None:
                h = run(level.resample, h)
                if level.pyramid is not None:
                    pyramid, h = level.pyramid(pyramid, h)
                skips.append(h)
        return h, skips

    def _decode(self, h: jax.Array, skips: list[jax.Array], run: Runner) -> jax.Array:
        """The output from the features of the smallest size."""
        pyramid = None
        for level in self.up:
            for block in level.blocks:
                h = run(block, jnp.concatenate([h, skips.pop()], axis=-1))
            if level.attention is not None:
                h = run(level.attention, h)
            if level.pyramid is not None:
                pyramid, h = level.pyramid(pyramid, h)
            if level.resample is not None:
                h = run(level.resample, h)
        return present("pyramid", pyramid) if self.head is None else self.head(h)


def _check_kernel(taps: Sequence[float]) -> None:
    if len(taps) % 2:
        raise ValueError(f"fir_kernel must have an even number of taps, not {len(taps)}")
    if not sum(taps) > 0:
        raise ValueError(f"fir_kernel={tuple(taps)} must have a sum above 0, which becomes 1")
