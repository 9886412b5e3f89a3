"""IP-Adapter (Ye et al. 2023, arXiv 2308.06721): an image that prompts a U-Net beside a text.

A dense layer makes several tokens of the embedding that CLIP gives the image, and each is
normalised (Section 3.2.1). Each attention of the U-Net to the text adds that of the same queries to
these tokens (equation 5), of which layers of its own make keys and values; they are here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import jax
import jax.numpy as jnp
from flax import nnx

from score_sde.models import arguments
from score_sde.models.arguments import Given, Width
from score_sde.models.layers import Dense, Layer
from score_sde.models.spatial_transformer import TOKEN_EPS, Beside
from score_sde.models.transformer import TokenNorm
from score_sde.values import Count, Length

# Of Stable Diffusion 1: two at each size of the encoder, three of the decoder, one between.
_SD1 = (320,) * 2 + (640,) * 2 + (1280,) * 5 + (640,) * 3 + (320,) * 3 + (1280,)


class IPAdapter(nnx.Module):
    """Keys and values of an image for each attention of a U-Net to the text.

    Args:
        features: of the embedding of an image.
        tokens: how many are made of it.
        text_features: of each, as of a token of the U-Net's text.
        attention: features of each of these attentions, in the order of encoder, decoder, and
            between them.
        dtype: of the computation.
        param_dtype: of the parameters.
        rngs: random streams of the initialisation.
    """

    def __init__(
        self,
        *,
        features: Count = 1024,
        tokens: Count = 4,
        text_features: Count = 768,
        attention: Annotated[Sequence[Width], Length(1, 1024)] = _SD1,
        dtype: jnp.dtype = jnp.float32,
        param_dtype: Given[jnp.dtype] = jnp.float32,
        rngs: Given[nnx.Rngs],
    ):
        arguments.check(IPAdapter, locals())
        layer: Layer = {"param_dtype": param_dtype, "rngs": rngs}
        self.features, self.tokens, self.dtype = features, tokens, jnp.dtype(dtype)
        self.dense = Dense(features, tokens * text_features, **layer)
        self.norm = TokenNorm(text_features, affine=True, eps=TOKEN_EPS, param_dtype=param_dtype)
        self.layers = nnx.List(ImageKeys(text_features, width, **layer) for width in attention)

    def __call__(self, embedding: jax.Array) -> jax.Array:
        """The tokens: [batch, features] to [batch, tokens, text_features].

        Raises:
            ValueError: the embedding is of another size.
        """
        if embedding.ndim != 2 or embedding.shape[1] != self.features:
            raise ValueError(
                f"the embedding of the image is {embedding.shape}; this adapter is for "
                f"[batch, {self.features}]"
            )
        made = self.dense(embedding.astype(self.dtype))
        return self.norm(made.reshape(len(embedding), self.tokens, -1))

    def beside(self, tokens: jax.Array) -> tuple[Beside, ...]:
        """Keys and values of tokens, [batch, tokens, features of the attention] each."""
        return tuple(layer(tokens) for layer in self.layers)


class ImageKeys(nnx.Module):
    """Keys and values of the tokens of an image, for one attention.

    Args:
        seen: features of a token.
        features: of a key, and of a value.
        param_dtype: dtype of the parameters.
        rngs: random streams of the initialisation.
    """

    def __init__(self, seen: int, features: int, *, param_dtype: jnp.dtype, rngs: nnx.Rngs):
        layer: Layer = {"param_dtype": param_dtype, "rngs": rngs}
        self.key = Dense(seen, features, bias=False, **layer)
        self.value = Dense(seen, features, bias=False, **layer)

    def __call__(self, tokens: jax.Array) -> Beside:
        """Of [batch, tokens, seen]."""
        return self.key(tokens), self.value(tokens)
