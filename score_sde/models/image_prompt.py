"""Images that prompt: from an embedding of an image to tokens like those of a text.

IP-Adapter (Ye et al. 2023, arXiv 2308.06721, Section 3.2.1): a dense layer makes several tokens of
the embedding that CLIP gives an image, and each is normalised.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx

from score_sde.models.layers import Dense
from score_sde.models.spatial_transformer import TOKEN_EPS
from score_sde.models.transformer import TokenNorm


class ImagePrompt(nnx.Module):
    """Tokens of an image.

    Args:
        features: of its embedding.
        tokens: how many are made.
        token_features: of each.
        param_dtype: dtype of the parameters.
        rngs: random streams of the initialisation.
    """

    def __init__(
        self,
        features: int,
        tokens: int,
        token_features: int,
        *,
        param_dtype: jnp.dtype,
        rngs: nnx.Rngs,
    ):
        layer = {"param_dtype": param_dtype, "rngs": rngs}
        self.dense = Dense(features, tokens * token_features, **layer)
        self.norm = TokenNorm(token_features, affine=True, eps=TOKEN_EPS, param_dtype=param_dtype)
        self.features, self.tokens = features, tokens

    def __call__(self, embedding: jax.Array) -> jax.Array:
        """[batch, features] to [batch, tokens, token_features].

        Raises:
            ValueError: the embedding is of another size.
        """
        if embedding.ndim != 2 or embedding.shape[1] != self.features:
            raise ValueError(
                f"image_prompt is {embedding.shape}; this network is for [batch, {self.features}]"
            )
        return self.norm(self.dense(embedding).reshape(len(embedding), self.tokens, -1))
