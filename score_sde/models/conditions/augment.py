"""How an example was augmented: numbers that are zero for one that was not."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx

from score_sde.models.conditions.base import check_value
from score_sde.models.layers import kernel_param

AUGMENT = "augment"  # the condition that tells of it


class AugmentEmbedding(nnx.Module):
    """A linear map without a bias (Karras et al. 2022, arXiv 2206.00364, Appendix F.2).

    So no augmentation, which is what samples are drawn with, adds nothing, and there is no other
    null: an example that is not told its numbers is one that was not augmented.

    Args:
        numbers: of an augmentation: 9 of EDM's.
        features: size of the embedding.
        param_dtype: dtype of the parameters.
        rngs: random streams of the initialisation.
    """

    def __init__(
        self,
        numbers: int,
        features: int,
        *,
        param_dtype: jnp.dtype = jnp.float32,
        rngs: nnx.Rngs,
    ):
        self.kernel = kernel_param(rngs.params(), (numbers, features), param_dtype)

    def __call__(self, value: jax.Array | None, batch: int, key: jax.Array | None) -> jax.Array:
        """Numbers, [batch, numbers], or None for zeros, to [batch, features].

        Args:
            value: how each was augmented; NaN is 0.
            batch: number of examples.
            key: not used: none is dropped.
        """
        kernel = self.kernel[...]
        if value is None:
            return jnp.zeros((batch, kernel.shape[1]), kernel.dtype)
        check_value("augmentation", value, (batch, kernel.shape[0]))
        return jnp.where(jnp.isnan(value), 0, value).astype(kernel.dtype) @ kernel
