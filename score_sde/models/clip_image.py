"""The image encoder of CLIP, a vision transformer (Radford et al. 2021, arXiv 2103.00020).

Its blocks are those of the text encoder, in which here every token sees all others:

    h = norm([c, W patches(x)] + p)
    h <- h + attention(norm(h)),    h <- h + layers(norm(h))        in each block           (1)
    pooled = W' norm(h[0]),

with c a learned token that comes first and p learned positions.
"""

from __future__ import annotations

from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from score_sde.models import tokens
from score_sde.models.fitted import fitted
from score_sde.models.layers import Dense, Layer
from score_sde.models.stacked import Stacked
from score_sde.models.text.clip import CLIPBlock
from score_sde.models.transformer import TokenNorm

# Of the pixels, in [0, 1], of the images that CLIP was trained on.
MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)


class CLIPImage(nnx.Module):
    """CLIP's image encoder; the defaults are those of CLIP ViT-L/14.

    Args:
        side: of an image, in pixels.
        patch: side of a patch, which divides that.
        image_channels: channels of an image.
        features: of a token, a multiple of heads.
        depth: number of blocks.
        heads: of attention.
        hidden: size of the hidden layer of each block.
        activation: between its two layers, see CLIPText.
        projection: features of the pooled vector, into which W' maps; None: it is not mapped.
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
        side: int = 224,
        patch: int = 14,
        image_channels: int = 3,
        features: int = 1024,
        depth: int = 24,
        heads: int = 16,
        hidden: int = 4096,
        activation: Literal["gelu", "gelu_tanh", "gelu_sigmoid"] = "gelu_sigmoid",
        projection: int | None = None,
        eps: float = 1e-5,
        dtype: jnp.dtype = jnp.float32,
        param_dtype: jnp.dtype = jnp.float32,
        remat: bool = False,
        rngs: nnx.Rngs,
    ):
        if side % patch:
            raise ValueError(f"images of {side} pixels cannot be cut into patches of {patch}")
        layer: Layer = {"param_dtype": param_dtype, "rngs": rngs}
        norm = {"affine": True, "eps": eps, "param_dtype": param_dtype}
        self.shape = (side, side, image_channels)
        self.patch, self.dtype = patch, jnp.dtype(dtype)
        self.dense_in = Dense(patch * patch * image_channels, features, bias=False, **layer)
        first = jax.nn.initializers.normal(0.02)
        count = 1 + (side // patch) ** 2
        self.first = nnx.Param(first(rngs.params(), (features,), param_dtype))
        self.positions = nnx.Param(first(rngs.params(), (count, features), param_dtype))
        self.norm_in, self.norm_out = (TokenNorm(features, **norm) for _ in range(2))

        def block(rngs: nnx.Rngs) -> CLIPBlock:
            options = {"activation": activation, "eps": eps, "param_dtype": param_dtype}
            return CLIPBlock(features, heads, hidden, **options, rngs=rngs)

        self.blocks = Stacked(block, depth, remat=remat, rngs=rngs)
        self.projection = (
            None if projection is None else Dense(features, projection, bias=False, **layer)
        )

    def __call__(self, images: jax.Array) -> jax.Array:
        """The pooled vector of each image, [batch, projection or features].

        Args:
            images: as `prepared` makes them, [batch, side, side, image_channels].

        Raises:
            ValueError: they are of another size.
        """
        if images.shape[1:] != self.shape:
            raise ValueError(f"images are {images.shape[1:]}; this encoder is for {self.shape}")
        h = self.dense_in(tokens.patchify(images, self.patch).astype(self.dtype))
        first = jnp.broadcast_to(self.first.astype(h.dtype), (len(h), 1, h.shape[-1]))
        h = jnp.concatenate([first, h], axis=1) + self.positions.astype(h.dtype)[None]
        h, _ = self.blocks.scan(
            lambda block, h, _, __: (block(h, None), None), self.norm_in(h), None
        )
        pooled = self.norm_out(h[:, 0])
        return pooled if self.projection is None else self.projection(pooled)


def prepared(image: np.ndarray, side: int) -> np.ndarray:
    """An image as CLIP takes it, see `fitted`.

    Args:
        image: uint8 [height, width, 3].
        side: of the result, in pixels.

    Returns:
        float32 [side, side, 3].
    """
    return fitted(image, side, MEAN, STD)
