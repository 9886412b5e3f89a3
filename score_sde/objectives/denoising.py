"""Denoising score matching: how t is drawn, how it is weighted, what is regressed.

The loss of one example x_0 (Song et al. 2021, arXiv 2011.13456, equation 7) is

    c(t) lambda(t) || q(denoise(x_t, t)) - q(x_0, eps) ||^2,    x_t = alpha x_0 + sigma eps,     (1)

with t from a time distribution (c corrects for one that is used for importance sampling only),
and q the quantity regressed. All quantities are linear in (x_0, eps), so for a given x_t their
errors are multiples of each other; a weighting therefore names the quantity in which its lambda
has the simplest form and stays finite.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from score_sde.objectives.times import TimeDistribution, draw_times
from score_sde.objectives.weightings import QUANTITIES, Weighting
from score_sde.prediction import Denoiser, Prediction
from score_sde.processes import SDE, expand

REDUCTIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    # Over the axes of an example: the mean for the paper's VP models, 0.5 * sum for its VE models.
    "mean": lambda squared: jnp.mean(squared.reshape(len(squared), -1), axis=1),
    "half_sum": lambda squared: 0.5 * jnp.sum(squared.reshape(len(squared), -1), axis=1),
}


def denoising_score_matching(
    key: jax.Array,
    denoise: Denoiser,
    sde: SDE,
    x0: jax.Array,
    cond: Any = None,
    *,
    times: TimeDistribution,
    weighting: Weighting,
    stratified: bool = False,
    reduction: str = "mean",
) -> jax.Array:
    """The loss of each example, equation (1).

    Args:
        key: JAX random key, for t and eps.
        denoise: the denoiser to train.
        sde: the forward process.
        x0: data, [batch, *data].
        cond: condition passed to denoise, or None.
        times: distribution of t.
        weighting: q and lambda.
        stratified: see `draw_times`.
        reduction: over the axes of an example; a name in REDUCTIONS.

    Returns:
        [batch]; its mean is the training loss.
    """
    key_t, key_eps = jax.random.split(key)
    t, correction = draw_times(key_t, sde, len(x0), times, stratified)
    t, correction = t.astype(x0.dtype), correction.astype(x0.dtype)
    eps = jax.random.normal(key_eps, x0.shape, x0.dtype)
    x = expand(sde.alpha(t), x0) * x0 + expand(sde.sigma(t), x0) * eps
    quantity = QUANTITIES[weighting.quantity]
    error = quantity(sde, t, denoise(x, t, cond)) - quantity(sde, t, Prediction(x0, eps))
    return correction * weighting.weight(sde, t) * REDUCTIONS[reduction](error**2)
