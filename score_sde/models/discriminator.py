"""A discriminator of patches of images (Isola et al. 2017, arXiv 1611.07004, Section 3.2).

Convolutions that halve the sides, and two more: each number that comes out judges one patch. There
is group norm in the place of their batch norm, so that an image is judged alone.
"""

from __future__ import annotations

import jax
from flax import nnx

from score_sde.models.layers import Conv, GroupNorm

_SLOPE = 0.2  # of the leaky ReLU below zero


class Discriminator(nnx.Module):
    """See the module.

    Args:
        image_channels: channels of an image.
        width: features of the first layer; of each that follows, twice as many.
        halvings: layers that halve the sides; a patch of two is 23 pixels wide.
        rngs: random streams of the initialisation.
    """

    def __init__(self, image_channels: int, width: int, halvings: int, *, rngs: nnx.Rngs):
        widths = [image_channels, *(width * 2**i for i in range(halvings + 1))]
        strides = [2] * halvings + [1]
        layers = zip(widths[:-1], widths[1:], strides, strict=True)
        self.layers = nnx.List([Conv(n, m, stride=s, rngs=rngs) for n, m, s in layers])
        self.norms = nnx.List([GroupNorm(n) for n in widths[2:]])
        self.head = Conv(widths[-1], 1, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Judge images, [batch, height, width, channels]: numbers that are large of real ones.

        Returns:
            One a patch, [batch, patches].
        """
        h = jax.nn.leaky_relu(self.layers[0](x), _SLOPE)
        for layer, norm in zip(list(self.layers)[1:], self.norms, strict=True):
            h = jax.nn.leaky_relu(norm(layer(h)), _SLOPE)
        return self.head(h).reshape(len(x), -1)
