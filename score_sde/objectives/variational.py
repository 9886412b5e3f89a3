r"""The variational bound of a discrete sequence, of which the variance of reverse steps is learnt.

A model of N levels predicts x0, and a share v of the way between two bounds of the log variance of
p(x_s | x_t), the step from level t to the one before. Its bound on -log p(x_0) has a term for each
level (Ho et al. 2020, arXiv 2006.11239, equation 5):

    KL( q(x_s | x_t, x_0) || p(x_s | x_t) ),  and at the first level  -log p(x_0 | x_t),        (1)

the latter of data that have finitely many levels in [-1, 1]. The mean of p is taken as it is, so
that the term teaches the variance alone (Nichol and Dhariwal 2021, arXiv 2102.09672, Section 3.1).
"""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from score_sde.prediction import Prediction
from score_sde.processes import SDE, expand

_EDGE = 0.999  # data beyond it are of the first or last level, whose ends are open
_TINY = 1e-12


class Posterior(NamedTuple):
    """q(x_s | x_t, x_0) = N(of_x0 x_0 + of_x x_t, exp(log_min)) at each level, and the upper bound.

    Attributes:
        of_x0: [N].
        of_x: [N].
        log_min: log of its variance; at the first level, where that is 0, as at the second. [N].
        log_max: log of the variance of the forward step x_t = A x_s + G z. [N].
    """

    of_x0: np.ndarray
    of_x: np.ndarray
    log_min: np.ndarray
    log_max: np.ndarray


@functools.cache
def posterior(sde: SDE) -> Posterior:
    """Of a discrete sequence, on the host in float64; the first level comes from the data."""
    t = np.arange(sde.scales) / (sde.scales - 1)
    alpha, sigma = sde.alpha(t), sde.sigma(t)
    alpha_s, sigma_s = np.append(1.0, alpha[:-1]), np.append(0.0, sigma[:-1])
    a = alpha / alpha_s
    g2 = (sigma - a * sigma_s) * (sigma + a * sigma_s)
    low = g2 * sigma_s**2 / sigma**2
    low[0] = low[1]
    return Posterior(alpha_s * g2 / sigma**2, a * sigma_s**2 / sigma**2, np.log(low), np.log(g2))


def bound(
    sde: SDE,
    t: jax.Array,
    x: jax.Array,
    x0: jax.Array,
    prediction: Prediction,
    v: jax.Array,
    data_levels: int = 256,
) -> jax.Array:
    """The term (1) of each example.

    Args:
        sde: a discrete sequence.
        t: its levels, [batch].
        x: states at t, [batch, *data].
        x0: data in [-1, 1], [batch, *data].
        prediction: of x; it gets no gradient.
        v: see prediction.with_variance, [batch, *data].
        data_levels: how many values a number of the data can have.

    Returns:
        Bits/dim, [batch].
    """
    level = jnp.round(t * (sde.scales - 1)).astype(jnp.int32)
    of_x0, of_x, low, high = (expand(jnp.asarray(p, x.dtype)[level], x) for p in posterior(sde))
    predicted = jax.lax.stop_gradient(prediction.x0)
    log_variance = v * high + (1 - v) * low
    mean, true_mean = (of_x0 * of + of_x * x for of in (predicted, x0))
    kl = 0.5 * (
        log_variance
        - low
        - 1
        + jnp.exp(low - log_variance)
        + (true_mean - mean) ** 2 * jnp.exp(-log_variance)
    )
    nll = -_log_probability(x0, mean, jnp.exp(-0.5 * log_variance), 1 / (data_levels - 1))
    nats = jnp.where(expand(level == 0, x), nll, kl)
    return jnp.mean(nats.reshape(len(x), -1), axis=1) / math.log(2)


def _log_probability(
    x0: jax.Array, mean: jax.Array, inverse_std: jax.Array, half: float
) -> jax.Array:
    """log of the mass of a Gaussian within `half` of x0; all the rest of it beyond the edges.

    Ho et al. 2020, equation 13. The distribution function is the tanh approximation of the
    published code.
    """
    above, below = (_cdf((x0 + side - mean) * inverse_std) for side in (half, -half))
    mass = jnp.where(x0 < -_EDGE, above, jnp.where(x0 > _EDGE, 1 - below, above - below))
    return jnp.log(jnp.maximum(mass, _TINY))


def _cdf(x: jax.Array) -> jax.Array:
    return 0.5 * (1 + jnp.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
