"""Halving and doubling the size of images, plainly or with a FIR filter (StyleGAN2).

The filtered versions follow Zhang (2019, arXiv 1904.11486) and Karras et al. (2020, arXiv
1912.04958), as NCSN++ does (Song et al. 2021, arXiv 2011.13456, Appendix H). A filter is a product
of two one-dimensional ones, applied as a sum of shifted copies: it works on every channel alone,
and a sum of slices compiles to one pass over the image, forwards and backwards, on every backend.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax

from score_sde.models.layers import Conv


def halve(x: jax.Array, fir: Sequence[float] | None = None) -> jax.Array:
    """Half the height and width: the mean of 2x2 pixels, or a FIR filter and every second pixel.

    Args:
        x: [batch, height, width, channels], height and width even.
        fir: the one-dimensional filter, of even length; it is normalised to sum 1.

    Returns:
        [batch, height / 2, width / 2, channels].
    """
    if fir is None:
        b, h, w, c = x.shape
        return x.reshape(b, h // 2, 2, w // 2, 2, c).mean(axis=(2, 4))
    margin = len(fir) // 2 - 1
    for axis in (1, 2):
        x = _filter(x, _normalised(fir), axis, before=margin, after=margin, stride=2)
    return x


def double(x: jax.Array, fir: Sequence[float] | None = None, *, margin: int = 0) -> jax.Array:
    """Twice the height and width: each pixel four times, or zeros between pixels and a FIR filter.

    Args:
        x: [batch, height, width, channels].
        fir: the one-dimensional filter, of even length; it is normalised to sum 2.
        margin: with a filter, pixels to return beyond each edge, where the filter still reaches.

    Returns:
        [batch, 2 height + 2 margin, 2 width + 2 margin, channels].
    """
    if fir is None:
        b, h, w, c = x.shape
        return jnp.broadcast_to(x[:, :, None, :, None], (b, h, 2, w, 2, c)).reshape(
            b, 2 * h, 2 * w, c
        )
    half = len(fir) // 2
    for axis in (1, 2):
        config = [(0, 0, 0)] * 4
        config[axis] = (0, 0, 1)
        spread = lax.pad(x, jnp.zeros((), x.dtype), config)
        x = _filter(spread, 2 * _normalised(fir), axis, before=half + margin, after=half + margin)
    return x


def smooth(x: jax.Array, fir: Sequence[float]) -> jax.Array:
    """The same size: a FIR filter over zero-padded images; (1, 1, 1, 1, 1) is a 5x5 average pool.

    Args:
        x: [batch, height, width, channels].
        fir: the one-dimensional filter, of odd length; it is normalised to sum 1.
    """
    half = len(fir) // 2
    for axis in (1, 2):
        x = _filter(x, _normalised(fir), axis, before=half, after=half)
    return x


def _normalised(fir: Sequence[float]) -> np.ndarray:
    return np.asarray(fir, np.float64) / np.sum(fir)


def _filter(
    x: jax.Array, fir: np.ndarray, axis: int, *, before: int, after: int, stride: int = 1
) -> jax.Array:
    """Convolve with the filter along an axis, after padding with zeros."""
    config = [(0, 0, 0)] * x.ndim
    config[axis] = (before, after, 0)
    x = lax.pad(x, jnp.zeros((), x.dtype), config)
    last = x.shape[axis] - len(fir)
    # A convolution turns the filter round: its last tap meets the first pixel.
    return sum(
        tap * lax.slice_in_dim(x, i, last + i + 1, stride, axis)
        for i, tap in enumerate(map(float, fir[::-1]))
    )


class Downsample(nnx.Module):
    """Half the size, together with a 3x3 convolution.

    Without a filter the convolution itself has stride 2 (DDPM). With one, the image is filtered
    first, past its edges as far as the convolution reaches (StyleGAN2).

    Args:
        n_in: channels of the input.
        n_out: channels of the output; n_in without a convolution.
        fir: see `halve`.
        with_conv: False for `halve` alone.
        edge: without a filter, zeros before and after each axis: (0, 1) in DDPM, (1, 1) in ADM.
        param_dtype: dtype of the parameters.
        rngs: random streams of the initialisation.
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        *,
        fir: Sequence[float] | None,
        with_conv: bool = True,
        edge: tuple[int, int] = (0, 1),
        param_dtype: jnp.dtype = jnp.float32,
        rngs: nnx.Rngs,
    ):
        self.fir = None if fir is None else tuple(fir)
        edge = edge if fir is None else (0, 0)
        options = {"padding": (edge, edge), "param_dtype": param_dtype, "rngs": rngs}
        self.conv = Conv(n_in, n_out, stride=2, **options) if with_conv else None

    def __call__(self, x: jax.Array) -> jax.Array:
        """[batch, height, width, n_in] to [batch, height / 2, width / 2, n_out]."""
        if self.conv is None:
            return halve(x, self.fir)
        if self.fir is not None:
            for axis in (1, 2):
                half = len(self.fir) // 2
                x = _filter(x, _normalised(self.fir), axis, before=half, after=half)
        return self.conv(x)


class Upsample(nnx.Module):
    """Twice the size, then a 3x3 convolution.

    With a filter, the convolution sees the filtered image past its edges too (StyleGAN2).

    Args:
        n_in: channels of the input.
        n_out: channels of the output; n_in without a convolution.
        fir: see `double`.
        with_conv: False for `double` alone.
        param_dtype: dtype of the parameters.
        rngs: random streams of the initialisation.
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        *,
        fir: Sequence[float] | None,
        with_conv: bool = True,
        param_dtype: jnp.dtype = jnp.float32,
        rngs: nnx.Rngs,
    ):
        self.fir = None if fir is None else tuple(fir)
        edge = (1, 1) if fir is None else (0, 0)
        options = {"padding": (edge, edge), "param_dtype": param_dtype, "rngs": rngs}
        self.conv = Conv(n_in, n_out, **options) if with_conv else None

    def __call__(self, x: jax.Array, size: tuple[int, int] | None = None) -> jax.Array:
        """[batch, height, width, n_in] to [batch, 2 height, 2 width, n_out].

        Args:
            x: images.
            size: (height, width) of the result, each twice that of x or one less, which is what an
                odd size was before `Downsample`: the last pixels once. None for twice. Only without
                a filter.
        """
        if self.conv is None:
            return double(x, self.fir)
        larger = double(x, self.fir, margin=0 if self.fir is None else 1)
        return self.conv(larger if size is None else larger[:, : size[0], : size[1]])
