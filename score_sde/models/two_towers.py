"""An image and its text as two vectors that point the same way (CLIP, Radford et al. 2021).

    u = f(image) / |f(image)|,    v = g(text) / |g(text)|,    s = exp(tau) u . v,            (1)

f a small residual network and g the encoder that a text condition has (models.text.reader), both
trained from scratch (arXiv 2103.00020, Section 2.3).
"""

from __future__ import annotations

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import nnx

from score_sde.models.blocks import ResBlock
from score_sde.models.layers import Conv, Dense, GroupNorm, Layer
from score_sde.models.text.reader import TextReader

_FIRST_TEMPERATURE = 0.07  # with which training begins


class TwoTowers(nnx.Module):
    """Equation (1).

    Args:
        channels: colours of an image; it may be of any size that can be halved as often as there
          are widths less one.
        widths: features of the image at each size, from the largest.
        features: of the two vectors, and of a token of the text.
        depth: layers of the text's encoder.
        heads: of its attention.
        words: the most of a text.
        rows: of the table that words are hashed to.
        dropout: rate in the residual blocks, where there is a key.
        dtype: of the computation.
        param_dtype: of the parameters.
        rngs: random streams of the initialisation.
    """

    def __init__(
        self,
        *,
        channels: int = 3,
        widths: Sequence[int] = (32, 64, 128),
        features: int = 128,
        depth: int = 2,
        heads: int = 4,
        words: int = 24,
        rows: int = 4096,
        dropout: float = 0.1,
        dtype: jnp.dtype = jnp.float32,
        param_dtype: jnp.dtype = jnp.float32,
        rngs: nnx.Rngs,
    ):
        layer: Layer = {"param_dtype": param_dtype, "rngs": rngs}
        block = {
            "n_embedding": 0,
            "kind": "biggan",
            "fir": None,
            "dropout_rate": dropout,
            "skip_rescale": True,
            "init_scale": 1.0,
            **layer,
        }
        self.dtype = jnp.dtype(dtype)
        self.conv_in = Conv(channels, widths[0], **layer)
        blocks, n = [], widths[0]
        for i, width in enumerate(widths):
            blocks.append(ResBlock(n, width, resample="down" if i else None, **block))
            n = width
        self.blocks = nnx.List([*blocks, ResBlock(n, n, **block)])
        self.norm = GroupNorm(n, param_dtype=param_dtype)
        self.image_out = Dense(3 * n, features, **layer)
        self.reader = TextReader(
            words=words, features=features, depth=depth, heads=heads, rows=rows, **layer
        )
        self.text_out = Dense(features, features, **layer)
        self.log_scale = nnx.Param(-jnp.log(jnp.asarray(_FIRST_TEMPERATURE, param_dtype)))

    def __call__(
        self, images: jax.Array, texts: jax.Array, key: jax.Array | None = None
    ) -> jax.Array:
        """s of each image with each text, [images, texts].

        Args:
            images: in [-1, 1], [images, height, width, channels].
            texts: UTF-8 with zeros after it, uint8 [texts, bytes].
            key: for dropout; None for none.
        """
        # A scale above 100 would make the gradient of all but the hardest pairs vanish (CLIP).
        scale = jnp.exp(jnp.minimum(self.log_scale[...], jnp.log(100.0)))
        return scale * self.of_images(images, key) @ self.of_texts(texts).T

    def of_images(self, images: jax.Array, key: jax.Array | None = None) -> jax.Array:
        """u, [batch, features]."""
        h = self.conv_in(images.astype(self.dtype))
        for i, block in enumerate(self.blocks):
            h = block(h, None, None if key is None else jax.random.fold_in(key, i))
        return _unit(self.image_out(_moments(jax.nn.silu(self.norm(h)))))

    def of_texts(self, texts: jax.Array) -> jax.Array:
        """v, [batch, features]."""
        return _unit(self.text_out(self.reader(texts).pooled))


def _moments(h: jax.Array) -> jax.Array:
    """Means over the pixels of h, h y and h x, with y and x from -1 to 1: [batch, 3 channels].

    The mean alone would not tell a left arrow from a right one.
    """
    y, x = (jnp.linspace(-1, 1, size, dtype=h.dtype) for size in h.shape[1:3])
    found = (h, h * y[None, :, None, None], h * x[None, None, :, None])
    return jnp.concatenate([part.mean(axis=(1, 2)) for part in found], axis=-1)


def _unit(x: jax.Array) -> jax.Array:
    return x * jax.lax.rsqrt(jnp.sum(x * x, axis=-1, keepdims=True) + 1e-12)
