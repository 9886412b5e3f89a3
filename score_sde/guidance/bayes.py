r"""Bayes' rule for a prediction: what a gradient of log p(y | x_t) makes of it.

Adding G = grad_x log p(y | x_t) to the score, -eps / sigma, of x = alpha x0 + sigma eps is

    x0' = x0 + (sigma^2 / alpha) G,        eps' = eps - sigma G.                            (1)
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from score_sde.prediction import Prediction
from score_sde.processes import SDE, expand


def gain(sde: SDE, t: jax.Array, x: jax.Array) -> jax.Array:
    """sigma^2 / alpha of (1), so that it multiplies x.

    Where alpha is 0 it is 0: x says nothing of the data there, and no gradient by x how y moves
    them. So the first step from pure noise is the model's own, which more steps make shorter.

    Args:
        sde: the process.
        t: time, [batch] or [].
        x: state, [batch, *data].
    """
    alpha, sigma = expand(sde.alpha(t), x), expand(sde.sigma(t), x)
    return jnp.where(alpha > 0, sigma**2 / jnp.where(alpha > 0, alpha, 1), 0)


def shifted(prediction: Prediction, shift: jax.Array, sde: SDE, t: jax.Array) -> Prediction:
    """A prediction of the same state at time t with `shift`, [batch, *data], added to its x0."""
    ratio = expand(sde.alpha(t), shift) / expand(sde.sigma(t), shift)
    return Prediction(prediction.x0 + shift, prediction.eps - ratio * shift)
