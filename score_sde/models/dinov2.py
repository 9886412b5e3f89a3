"""The image encoder of DINOv2, a vision transformer (Oquab et al. 2023, arXiv 2304.07193).

    h = [c, W patches(x)] + p
    h <- h + s attention(norm(h)),    h <- h + s' layers(norm(h))   in each block           (1)
    feature = norm(h[0]),

with c a learned token that comes first (the class token), p learned positions, and s, s' learned
factors of each feature (LayerScale, Touvron et al. 2021, arXiv 2103.17239). Registers are further
learned tokens, without positions, of which nothing is read in the end (Darcet et al. 2023, arXiv
2309.16588).

Images may be of other sizes than p is for: p, as an image, is then resized by bicubic
interpolation so that both images lie over each other, as in transformers. (The authors' own code
for encoders without registers has them differ by a tenth of a patch.)
"""

from __future__ import annotations

from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from score_sde.models import tokens
from score_sde.models.fitted import fitted
from score_sde.models.layers import Dense, Layer, per_channel
from score_sde.models.stacked import Stacked
from score_sde.models.transformer import FeedForward, SelfAttention, TokenNorm

# Of the pixels, in [0, 1], of ImageNet.
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
_CURVE = -0.75  # of the kernel (Keys 1981) by which positions are resized
_LAYER_SCALE = 1e-5  # at first


class DINOv2Block(nnx.Module):
    """Equation (1). Arguments as of DINOv2."""

    def __init__(
        self,
        features: int,
        heads: int,
        hidden: int,
        *,
        activation: Literal["gelu", "gelu_tanh", "gelu_sigmoid", "swiglu"],
        bias: bool,
        eps: float,
        param_dtype: jnp.dtype,
        rngs: nnx.Rngs,
    ):
        layer: Layer = {"param_dtype": param_dtype, "rngs": rngs}
        normal = {"affine": True, "eps": eps, "param_dtype": param_dtype}
        self.norm_0, self.norm_1 = (TokenNorm(features, **normal) for _ in range(2))
        self.scale_0, self.scale_1 = (
            nnx.Param(jnp.full(features, _LAYER_SCALE, param_dtype)) for _ in range(2)
        )
        self.attention = SelfAttention(features, heads, bias=bias, **layer)
        self.feed_forward = FeedForward(features, hidden, kind=activation, **layer)

    def __call__(self, h: jax.Array) -> jax.Array:
        """[batch, tokens, features] to the same."""
        h = h + per_channel(self.scale_0[...], h) * self.attention(self.norm_0(h))
        return h + per_channel(self.scale_1[...], h) * self.feed_forward(self.norm_1(h))


class DINOv2(nnx.Module):
    """DINOv2's image encoder; the defaults are those of ViT-L/14.

    Args:
        side: of an image that the positions are for, in pixels.
        patch: side of a patch, which divides that.
        image_channels: channels of an image.
        features: of a token, a multiple of heads.
        depth: number of blocks.
        heads: of attention.
        hidden: size of the hidden layer of each block, as FeedForward has it.
        activation: between its two layers, see FeedForward: "swiglu" in the largest, ViT-g.
        bias: whether queries, keys and values have one.
        registers: how many there are.
        antialias: whether positions are averaged where they are made fewer, as by those who
            released the encoders with registers, and not the ones without.
        eps: of the norms.
        dtype: of the computation; statistics and softmax stay in float32.
        param_dtype: of the parameters.
        remat: recompute each block in the backward pass instead of keeping its activations.
        rngs: random streams of the initialisation.

    Raises:
        ValueError: patches do not divide the image.
    """

    def __init__(
        self,
        *,
        side: int = 518,
        patch: int = 14,
        image_channels: int = 3,
        features: int = 1024,
        depth: int = 24,
        heads: int = 16,
        hidden: int = 4096,
        activation: Literal["gelu", "gelu_tanh", "gelu_sigmoid", "swiglu"] = "gelu",
        bias: bool = True,
        registers: int = 0,
        antialias: bool = False,
        eps: float = 1e-6,
        dtype: jnp.dtype = jnp.float32,
        param_dtype: jnp.dtype = jnp.float32,
        remat: bool = False,
        rngs: nnx.Rngs,
    ):
        self.grid = tokens.grid((side, side, image_channels), patch)
        self.patch, self.image_channels = patch, image_channels
        self.antialias, self.dtype = antialias, jnp.dtype(dtype)
        layer: Layer = {"param_dtype": param_dtype, "rngs": rngs}
        self.dense_in = Dense(patch * patch * image_channels, features, **layer)
        self.first, self.positions, self.registers = (
            nnx.Param(jax.nn.initializers.normal(0.02)(rngs.params(), (n, features), param_dtype))
            if n
            else None
            for n in (1, 1 + self.grid[0] * self.grid[1], registers)
        )

        def block(rngs: nnx.Rngs) -> DINOv2Block:
            options = {"activation": activation, "bias": bias, "eps": eps}
            return DINOv2Block(features, heads, hidden, **options, **layer | {"rngs": rngs})

        self.blocks = Stacked(block, depth, remat=remat, rngs=rngs)
        self.norm = TokenNorm(features, affine=True, eps=eps, param_dtype=param_dtype)

    def __call__(self, images: jax.Array) -> jax.Array:
        """The feature of each image, that of the class token, [batch, features].

        Args:
            images: as `prepared` makes them, [batch, height, width, image_channels].

        Raises:
            ValueError: patches do not divide them, or they have other channels.
        """
        if images.shape[-1] != self.image_channels:
            raise ValueError(f"images have {images.shape[-1]} channels, not {self.image_channels}")
        rows, columns = tokens.grid(images.shape[1:], self.patch)
        h = self.dense_in(tokens.patchify(images, self.patch).astype(self.dtype))
        h = h + self._resized(rows, columns).astype(h.dtype)[None]
        learned = [self.first[...] + self.positions[:1]]
        learned += [] if self.registers is None else [self.registers[...]]
        every = [jnp.broadcast_to(a.astype(h.dtype), (len(h), *a.shape)) for a in learned]
        h = jnp.concatenate([*every, h], axis=1)
        h, _ = self.blocks.scan(lambda block, h, _, __: (block(h), None), h, None)
        return self.norm(h[:, 0])

    def _resized(self, rows: int, columns: int) -> jax.Array:
        """Positions of so many patches, [rows * columns, features]."""
        own = self.positions[1:]
        if (rows, columns) == self.grid:
            return own
        image = own.reshape(*self.grid, -1)
        if self.antialias:
            found = jax.image.resize(image, (rows, columns, image.shape[-1]), "cubic")
        else:
            of_row, of_column = (
                jnp.asarray(bicubic(n, size), image.dtype)
                for n, size in zip(self.grid, (rows, columns), strict=True)
            )
            found = jnp.einsum("rn,cm,nmf->rcf", of_row, of_column, image)
        return found.reshape(rows * columns, -1)


def bicubic(n: int, size: int) -> np.ndarray:
    """The weights of n numbers in a row in each of `size` that take their place.

    Those of the four that lie nearest, by the kernel of Keys (1981) with a = -3 / 4; beyond the
    ends the first and the last go on.

    Returns:
        float64 [size, n], each row of sum 1.
    """
    at = (np.arange(size) + 0.5) * n / size - 0.5
    weights = np.zeros((size, n))
    for tap in range(-1, 3):
        taken = np.floor(at).astype(int) + tap
        d = np.abs(at - taken)
        near = ((_CURVE + 2) * d - (_CURVE + 3)) * d**2 + 1
        far = ((_CURVE * d - 5 * _CURVE) * d + 8 * _CURVE) * d - 4 * _CURVE
        weight = np.where(d <= 1, near, far)
        np.add.at(weights, (np.arange(size), np.clip(taken, 0, n - 1)), weight)
    return weights


def prepared(image: np.ndarray, side: int) -> np.ndarray:
    """An image as DINOv2 takes it, see `fitted`; 224 pixels are usual.

    Args:
        image: uint8 [height, width, 3].
        side: of the result, in pixels, a multiple of the patch.

    Returns:
        float32 [side, side, 3].
    """
    return fitted(image, side, MEAN, STD)
