"""Classification of noisy data: the cross-entropy of a time-dependent classifier."""

from __future__ import annotations

import jax

from score_sde.classifier import LogProb
from score_sde.objectives.times import TimeDistribution, draw_times
from score_sde.processes import SDE, expand


def cross_entropy(
    key: jax.Array,
    log_prob: LogProb,
    sde: SDE,
    x0: jax.Array,
    label: jax.Array,
    *,
    times: TimeDistribution,
    stratified: bool = False,
) -> jax.Array:
    """The loss of each example, equation (1).

    Args:
        key: JAX random key, for t and eps.
        log_prob: the classifier to train.
        sde: the forward process.
        x0: data, [batch, *data].
        label: classes, int [batch].
        times: distribution of t.
        stratified: see losses.draw_times.

    Returns:
        Nats, [batch]; its mean is the training loss.
    """
    key_t, key_eps = jax.random.split(key)
    t, correction = draw_times(key_t, sde, len(x0), times, stratified)
    t, correction = t.astype(x0.dtype), correction.astype(x0.dtype)
    mean, std = sde.marginal(x0, t)
    x = mean + expand(std, x0) * jax.random.normal(key_eps, x0.shape, x0.dtype)
    return -correction * log_prob(x, t, label)
