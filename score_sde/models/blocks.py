"""The blocks of NCSN++ and DDPM++ (Song et al. 2021, arXiv 2011.13456, Appendix H), and of ADM.

ADM (Dhariwal and Nichol 2021, arXiv 2105.05233) has them with other options.
"""

import math
from collections.abc import Sequence
from typing import Literal

import jax
import jax.numpy as jnp
from flax import nnx

from score_sde.models import attention
from score_sde.models.layers import Conv, Dense, GroupNorm, Layer, Queries, dropout, per_channel
from score_sde.models.resample import Downsample, Upsample, double, halve
from score_sde.models.spread import spread


def add(x: jax.Array, y: jax.Array, rescale: bool) -> jax.Array:
    """x + y, divided by sqrt(2) on request so that the variance does not grow with depth."""
    return (x + y) * (1 / math.sqrt(2)) if rescale else x + y


class ResBlock(nnx.Module):
    """Residual block: norm, swish, convolution, embedding; norm, swish, dropout, convolution.

    With `resample` it is BigGAN's block (Brock et al. 2019, arXiv 1809.11096): the size changes
    after the first swish, and on the way around.

    Args:
        n_in: channels of the input.
        n_out: channels of the output.
        n_embedding: features of the embedding; 0 for none.
        kind: "biggan"; "ddpm", whose 1x1 convolution around starts at a tenth of the variance; or
          "adm", which has one only where the number of channels changes.
        resample: None, "down" or "up".
        fir: filter of the resampling, see `halve`.
        dropout_rate: in [0, 1).
        skip_rescale: see `add`.
        init_scale: of the last convolution, see `init_kernel`.
        group_size: see `GroupNorm`; groups too.
        eps: see `GroupNorm`.
        scale_shift: the embedding scales and shifts the second norm, y (1 + a) + b, in place of
          being added before it (Nichol and Dhariwal 2021, arXiv 2102.09672, Section 3).
        param_dtype: dtype of the parameters.
        rngs: random streams of the initialisation.
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        *,
        n_embedding: int,
        kind: Literal["biggan", "ddpm", "adm"],
        resample: Literal["down", "up"] | None = None,
        fir: Sequence[float] | None,
        dropout_rate: float,
        skip_rescale: bool,
        init_scale: float,
        group_size: int = 4,
        groups: int = 0,
        eps: float = 1e-6,
        scale_shift: bool = False,
        param_dtype: jnp.dtype,
        rngs: nnx.Rngs,
    ):
        norm = {"groups": groups, "group_size": group_size, "eps": eps, "param_dtype": param_dtype}
        layer: Layer = {"param_dtype": param_dtype, "rngs": rngs}
        self.norm_0 = GroupNorm(n_in, **norm)
        self.conv_0 = Conv(n_in, n_out, **layer)
        told = n_out * (2 if scale_shift else 1)
        self.dense = Dense(n_embedding, told, **layer) if n_embedding else None
        self.norm_1 = GroupNorm(n_out, **norm)
        self.conv_1 = Conv(n_out, n_out, scale=init_scale, **layer)
        changed = n_in != n_out or (resample is not None and kind != "adm")
        scale = {"biggan": 1.0, "ddpm": 0.1, "adm": 1.0}[kind]
        self.shortcut = Dense(n_in, n_out, scale=scale, **layer) if changed else None
        self.kind, self.scale_shift = kind, scale_shift
        self.resample, self.fir = resample, None if fir is None else tuple(fir)
        self.dropout_rate, self.skip_rescale = dropout_rate, skip_rescale

    def __call__(
        self, x: jax.Array, embedding: jax.Array | None, key: jax.Array | None
    ) -> jax.Array:
        """One block.

        Args:
            x: [batch, height, width, n_in].
            embedding: [batch, n_embedding], after its swish; None without one.
            key: for dropout; None for none.
        """
        h = jax.nn.silu(self.norm_0(x))
        if self.resample is not None:
            size = {"down": halve, "up": double}[self.resample]
            h, x = size(h, self.fir), size(x, self.fir)
        h = self._told(self.conv_0(h), embedding)
        h = dropout(jax.nn.silu(h), self.dropout_rate, key)
        h = self.conv_1(h)
        return add(x if self.shortcut is None else self.shortcut(x), h, self.skip_rescale)

    def _told(self, h: jax.Array, embedding: jax.Array | None) -> jax.Array:
        """The second norm, and the embedding."""
        if self.dense is None:
            return self.norm_1(h)
        told = per_channel(self.dense(embedding), h)
        if not self.scale_shift:
            return self.norm_1(h + spread(told, h))
        scale, shift = jnp.split(told, 2, axis=-1)
        return self.norm_1(h) * spread(1 + scale, h) + spread(shift, h)


class Attention(nnx.Module):
    """Self-attention over the pixels of an image (Ho et al. 2020, arXiv 2006.11239).

    Of a network that looks at tokens too, such as a text's, their keys and values stand beside
    those of the pixels (Nichol et al. 2021, arXiv 2112.10741, Section 2.3; Saharia et al. 2022,
    arXiv 2205.11487, Section 2.3).

    Args:
        channels: channels of input and output.
        seen: features of a token that is looked at besides; 0 for none.
        skip_rescale: see `add`.
        init_scale: of the last layer, see `init_kernel`.
        group_size: see `GroupNorm`; groups too.
        heads: into which the channels are divided, in order.
        eps: see `GroupNorm`.
        param_dtype: dtype of the parameters.
        rngs: random streams of the initialisation.
    """

    def __init__(
        self,
        channels: int,
        *,
        seen: int = 0,
        skip_rescale: bool,
        init_scale: float,
        group_size: int = 4,
        groups: int = 0,
        heads: int = 1,
        eps: float = 1e-6,
        param_dtype: jnp.dtype,
        rngs: nnx.Rngs,
    ):
        if channels % heads:
            raise ValueError(f"{channels} features cannot be divided into {heads} heads")
        layer: Layer = {"param_dtype": param_dtype, "rngs": rngs}
        norm = {"groups": groups, "group_size": group_size, "eps": eps}
        self.norm = GroupNorm(channels, **norm, param_dtype=param_dtype)
        # The released networks start their queries, keys and values at a tenth of the variance.
        queries = Queries(channels // heads)
        self.query = Dense(channels, channels, scale=0.1, queries=queries, **layer)
        self.key = Dense(channels, channels, scale=0.1, **layer)
        self.value = Dense(channels, channels, scale=0.1, **layer)
        self.out = Dense(channels, channels, scale=init_scale, **layer)
        self.seen_key = Dense(seen, channels, scale=0.1, **layer) if seen else None
        self.seen_value = Dense(seen, channels, scale=0.1, **layer) if seen else None
        self.skip_rescale, self.heads = skip_rescale, heads

    def __call__(
        self, x: jax.Array, seen: jax.Array | None = None, mask: jax.Array | None = None
    ) -> jax.Array:
        """The shape of x; the softmax is in float32 or better.

        Args:
            x: [batch, height, width, channels].
            seen: tokens that are looked at besides, [batch, n, seen].
            mask: which of these there are, bool [batch, n].
        """
        b, h, w, c = x.shape
        tokens = self.norm(x).reshape(b, h * w, c)
        query, key, value = self.query(tokens), self.key(tokens), self.value(tokens)
        if self.seen_key is not None:
            key = jnp.concatenate([self.seen_key(seen), key], axis=1)
            value = jnp.concatenate([self.seen_value(seen), value], axis=1)
            mask = jnp.pad(mask, ((0, 0), (0, h * w)), constant_values=True)
        attended = attend(query, key, value, self.heads, mask)
        return add(x, self.out(attended).reshape(x.shape), self.skip_rescale)


def attend(
    query: jax.Array,
    key: jax.Array,
    value: jax.Array,
    heads: int,
    mask: jax.Array | None = None,
) -> jax.Array:
    """models.attention.attend, of heads that stand side by side.

    Args:
        query: [batch, tokens, channels].
        key: [batch, keys, channels].
        value: [batch, keys, channels].
        heads: into which the channels are divided, in order.
        mask: which keys there are, bool [batch, keys]; None for all. Without any, all count.

    Returns:
        The shape and dtype of query; the softmax is in float32 or better.
    """
    split = (a.reshape(*a.shape[:2], heads, -1) for a in (query, key, value))
    return attention.attend(*split, mask).reshape(query.shape)


class InputSkip(nnx.Module):
    """Shows a level of the encoder the input image at its own size ("input skip").

    Args:
        n_image: channels of the image.
        n_features: channels of the features.
        combine: "sum" adds the image after a 1x1 convolution, "cat" puts it in front.
        fir: see `halve`.
        param_dtype: dtype of the parameters.
        rngs: random streams of the initialisation.
    """

    def __init__(
        self,
        n_image: int,
        n_features: int,
        *,
        combine: Literal["sum", "cat"],
        fir: Sequence[float] | None,
        param_dtype: jnp.dtype,
        rngs: nnx.Rngs,
    ):
        self.dense = Dense(n_image, n_features, param_dtype=param_dtype, rngs=rngs)
        self.combine, self.fir = combine, None if fir is None else tuple(fir)

    def __call__(self, image: jax.Array, h: jax.Array) -> tuple[jax.Array, jax.Array]:
        """The image at twice h's size, and h, to the image at h's size, and both combined."""
        image = halve(image, self.fir)
        seen = self.dense(image)
        return image, h + seen if self.combine == "sum" else jnp.concatenate([seen, h], axis=-1)


class InputResidual(nnx.Module):
    """A residual path through the encoder from the input image ("residual").

    Args:
        n_in: channels of the path one level before.
        n_features: channels of the features.
        fir: see `halve`.
        skip_rescale: see `add`.
        param_dtype: dtype of the parameters.
        rngs: random streams of the initialisation.
    """

    def __init__(
        self,
        n_in: int,
        n_features: int,
        *,
        fir: Sequence[float] | None,
        skip_rescale: bool,
        param_dtype: jnp.dtype,
        rngs: nnx.Rngs,
    ):
        self.down = Downsample(n_in, n_features, fir=fir, param_dtype=param_dtype, rngs=rngs)
        self.skip_rescale = skip_rescale

    def __call__(self, path: jax.Array, h: jax.Array) -> tuple[jax.Array, jax.Array]:
        """The path at twice h's size, and h, to their sum at h's size, twice."""
        h = add(self.down(path), h, self.skip_rescale)
        return h, h


class Head(nnx.Module):
    """Norm, swish, convolution: from features to an output.

    Args:
        n_in: channels of the features.
        n_out: channels of the output.
        scale: of the convolution, see `init_kernel`.
        group_size: see `GroupNorm`; groups too.
        eps: see `GroupNorm`.
        param_dtype: dtype of the parameters.
        rngs: random streams of the initialisation.
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        *,
        scale: float,
        group_size: int = 4,
        groups: int = 0,
        eps: float = 1e-6,
        param_dtype: jnp.dtype,
        rngs: nnx.Rngs,
    ):
        norm = {"groups": groups, "group_size": group_size, "eps": eps}
        self.norm = GroupNorm(n_in, **norm, param_dtype=param_dtype)
        self.conv = Conv(n_in, n_out, scale=scale, param_dtype=param_dtype, rngs=rngs)

    def __call__(self, h: jax.Array) -> jax.Array:
        """[batch, height, width, n_in] to [batch, height, width, n_out]."""
        return self.conv(jax.nn.silu(self.norm(h)))


class OutputSkip(nnx.Module):
    """Adds a level's own image to the image of the levels below it, enlarged ("output skip").

    Args:
        head: makes the level's image.
        fir: see `double`.
    """

    def __init__(self, head: Head, *, fir: Sequence[float] | None):
        self.head, self.fir = head, None if fir is None else tuple(fir)

    def __call__(self, image: jax.Array | None, h: jax.Array) -> tuple[jax.Array, jax.Array]:
        """The image at half h's size, None at the smallest, and h, to the image at h's, and h."""
        own = self.head(h)
        return own if image is None else double(image, self.fir) + own, h


class OutputResidual(nnx.Module):
    """A residual path through the decoder ("residual").

    Args:
        path: Head at the smallest size, where the path starts; Upsample at the others.
        skip_rescale: see `add`.
    """

    def __init__(self, path: Head | Upsample, *, skip_rescale: bool):
        self.path, self.skip_rescale = path, skip_rescale

    def __call__(self, path: jax.Array | None, h: jax.Array) -> tuple[jax.Array, jax.Array]:
        """The path at half h's size, None at the smallest, and h, to the path at h's, and h."""
        if path is None:
            return self.path(h), h
        h = add(self.path(path), h, self.skip_rescale)
        return h, h
