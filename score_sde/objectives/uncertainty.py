"""A learned uncertainty of the loss at each noise level: the multi-task weighting of EDM2.

The loss L(t) of a noise level is divided by what is expected of it, which a small model u learns:

    e^(-u(t)) L(t) + u(t),    least at u(t) = log E[L(t)],                                  (1)

so that every noise level has the same share in the gradient of the network (Karras et al. 2023,
arXiv 2312.02696; Kendall et al. 2018, arXiv 1705.07115). The network of EDM2 has a u itself, which
stands in for this one there (models.edm2.LogVariance).
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx

from score_sde.models.embeddings import fourier
from score_sde.models.layers import Constant
from score_sde.processes import SDE


class Uncertainty(nnx.Module):
    """u of equation (1): one layer on Fourier features of log(sigma / alpha) / 4, 0 at first.

    Args:
        features: how many.
        rngs: random streams `params` and `constants` of the initialisation.
    """

    def __init__(self, features: int = 128, *, rngs: nnx.Rngs):
        self.frequencies = Constant(jax.random.normal(rngs.constants(), (features // 2,)))
        self.kernel = nnx.Param(jnp.zeros(features))
        self.bias = nnx.Param(jnp.zeros(()))

    def __call__(self, sde: SDE, t: jax.Array) -> jax.Array:
        """u(t), [batch].

        Args:
            sde: the forward process.
            t: [batch].
        """
        features = fourier(-sde.log_snr(t) / 8, self.frequencies[...])
        return features @ self.kernel[...].astype(t.dtype) + self.bias[...].astype(t.dtype)


def uncertain(loss: jax.Array, u: jax.Array) -> jax.Array:
    """Equation (1); the shapes broadcast."""
    return jnp.exp(-u) * loss + u


def reported(loss: jax.Array, trained: jax.Array) -> jax.Array:
    """The value of one loss with the gradient of another; shape of both.

    What u learns does not show in a curve of the loss then: it can be compared with those of runs
    without.
    """
    return jax.lax.stop_gradient(loss) + (trained - jax.lax.stop_gradient(trained))
