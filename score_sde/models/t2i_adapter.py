"""T2I-Adapter (Mou et al. 2023, arXiv 2302.08453): features of an image for a U-Net's encoder.

The image's pixels are gathered to channels, F_0 of them convolved, and then

    F <- W F (after halving the size at some levels),    F <- F + W relu(conv(F))          (1)

gives the features of each level, which are added to the encoder's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import jax
import jax.numpy as jnp
from flax import nnx

from score_sde.models import arguments
from score_sde.models.arguments import Given, Width
from score_sde.models.layers import Conv, Dense, Layer
from score_sde.models.resample import halve
from score_sde.values import Count, Length, between


class T2IAdapter(nnx.Module):
    """Equation (1).

    Args:
        image_channels: channels of the image.
        factor: by which the features of the first level are smaller than the image.
        widths: features at each level; those of the U-Net.
        halved: at each level, whether the size is halved before.
        num_res_blocks: residual blocks at each level.
        dtype: of the computation.
        param_dtype: of the parameters.
        rngs: random streams of the initialisation.

    Raises:
        ValueError: halved is not for as many levels as there are widths.
    """

    def __init__(
        self,
        *,
        image_channels: Count = 3,
        factor: Annotated[int, between(1, 256)] = 8,
        widths: Annotated[Sequence[Width], Length(1, 16)] = (320, 640, 1280, 1280),
        halved: Annotated[Sequence[bool], Length(1, 16)] = (False, True, True, True),
        num_res_blocks: Annotated[int, between(1, 32)] = 2,
        dtype: jnp.dtype = jnp.float32,
        param_dtype: Given[jnp.dtype] = jnp.float32,
        rngs: Given[nnx.Rngs],
    ):
        arguments.check(T2IAdapter, locals())
        if len(halved) != len(widths):
            raise ValueError(f"halved={tuple(halved)} must have an entry for each of {len(widths)}")
        layer: Layer = {"param_dtype": param_dtype, "rngs": rngs}
        self.image_channels, self.factor, self.dtype = image_channels, factor, jnp.dtype(dtype)
        self.conv_in = Conv(image_channels * factor**2, widths[0], **layer)
        ins = [widths[0], *widths[:-1]]
        self.levels = nnx.List(
            AdapterLevel(n_in, n, half, num_res_blocks, **layer)
            for n_in, n, half in zip(ins, widths, halved, strict=True)
        )

    def __call__(self, image: jax.Array) -> dict[str, jax.Array]:
        """What a CrossUNet is called with as `added`: features of each level.

        Args:
            image: in [0, 1], [batch, height, width, image_channels].

        Raises:
            ValueError: it has other channels, or a side is no multiple of `factor`.
        """
        height, width, channels = image.shape[1:]
        if channels != self.image_channels or height % self.factor or width % self.factor:
            raise ValueError(
                f"the image is {image.shape}; both sides must be multiples of {self.factor}, with "
                f"{self.image_channels} channels"
            )
        wide = jnp.promote_types(image.dtype, jnp.float32)
        h = image.astype(wide if wide == jnp.float64 else self.dtype)
        h = self.conv_in(_gathered(h, self.factor))
        found = {}
        for i, level in enumerate(self.levels):
            h = found[f"level_{i}"] = level(h)
        return found


class AdapterLevel(nnx.Module):
    """One level of equation (1).

    Args:
        n_in: channels of what comes in.
        n_out: channels of the result.
        half: whether the size is halved.
        num_res_blocks: residual blocks.
        layer: param_dtype and rngs.
    """

    def __init__(self, n_in: int, n_out: int, half: bool, num_res_blocks: int, **layer: Any):
        self.half = half
        self.dense_in = Dense(n_in, n_out, **layer) if n_in != n_out else None
        self.convs = nnx.List(Conv(n_out, n_out, **layer) for _ in range(num_res_blocks))
        self.denses = nnx.List(Dense(n_out, n_out, **layer) for _ in range(num_res_blocks))

    def __call__(self, h: jax.Array) -> jax.Array:
        """[batch, height, width, n_in] to n_out channels; half the size is rounded up."""
        if self.half:
            # The mean of what there is at the edge of an odd size.
            odd = [(0, 0), *((0, n % 2) for n in h.shape[1:3]), (0, 0)]
            h = halve(jnp.pad(h, odd, mode="edge"))
        h = h if self.dense_in is None else self.dense_in(h)
        for conv, dense in zip(self.convs, self.denses, strict=True):
            h = h + dense(jax.nn.relu(conv(h)))
        return h


def _gathered(x: jax.Array, factor: int) -> jax.Array:
    """Squares of pixels as channels: [b, h, w, c] to [b, h / factor, w / factor, c factor^2].

    Of the channels, that of the image is the slowest, then the row (Shi et al. 2016, arXiv
    1609.05158, backwards).
    """
    b, h, w, c = x.shape
    x = x.reshape(b, h // factor, factor, w // factor, factor, c)
    return x.transpose(0, 1, 3, 5, 2, 4).reshape(b, h // factor, w // factor, -1)
