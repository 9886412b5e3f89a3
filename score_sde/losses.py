r"""Denoising score matching: how t is drawn, how it is weighted, what is regressed.

The loss of one example x_0 (Song et al. 2021, arXiv 2011.13456, equation 7) is

    c(t) lambda(t) || q(denoise(x_t, t)) - q(x_0, eps) ||^2,    x_t = alpha x_0 + sigma eps,     (1)

with t from a time distribution (c corrects for one that is used for importance sampling only),
and q the quantity regressed. All quantities are linear in (x_0, eps), so for a given x_t their
errors are multiples of each other; a weighting therefore names the quantity in which its lambda
has the simplest form and stays finite.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.scipy.special import ndtri

from score_sde.prediction import Denoiser, Prediction
from score_sde.sde import SDE, expand

# A time distribution maps numbers in (0, 1) to times, both [batch], and gives each time's c(t).
TimeDistribution = Callable[[SDE, jax.Array], tuple[jax.Array, jax.Array]]


def uniform_times(t_min: float | None = None) -> TimeDistribution:
    """t uniform on [t_min, t_max], as in Song et al. 2021.

    Args:
        t_min: the smallest time to train on; the process's own if None.
    """

    def times(sde: SDE, u: jax.Array) -> tuple[jax.Array, jax.Array]:
        low = sde.t_min if t_min is None else t_min
        return low + (sde.t_max - low) * u, jnp.ones_like(u)

    return times


def log_normal_times(mean: float = -1.2, std: float = 1.2) -> TimeDistribution:
    """log(sigma / alpha) ~ N(mean, std^2) (Karras et al. 2022, Table 1), t clipped to its range.

    Args:
        mean: P_mean of arXiv 2206.00364.
        std: P_std.
    """

    def times(sde: SDE, u: jax.Array) -> tuple[jax.Array, jax.Array]:
        log_sigma = mean + std * ndtri(u)
        t = jnp.clip(sde.time_at_log_snr(-2 * log_sigma), sde.t_min, sde.t_max)
        return t, jnp.ones_like(u)

    return times


def logit_normal_times(mean: float = 0.0, std: float = 1.0) -> TimeDistribution:
    """logit of t, scaled to [t_min, t_max], ~ N(mean, std^2) (Esser et al. 2024, arXiv 2403.03206).

    Args:
        mean: of the normal distribution; above 0 favours more noise.
        std: of the normal distribution.
    """

    def times(sde: SDE, u: jax.Array) -> tuple[jax.Array, jax.Array]:
        t = sde.t_min + (sde.t_max - sde.t_min) * jax.nn.sigmoid(mean + std * ndtri(u))
        return t, jnp.ones_like(u)

    return times


def importance_times(t_min: float | None = None) -> TimeDistribution:
    r"""t with density proportional to g^2 / sigma^2, for the likelihood weighting.

    Song et al. 2021 (arXiv 2101.09258), Section 4.2. By the definitions of f and g,
    g^2 / sigma^2 = -d log_snr / dt, so log_snr is uniform under this density whatever the process.
    With the correction c = (uniform density) / (this density) the expectation of the loss is the
    one under `uniform_times`, with less variance: c g^2 / sigma^2 is a constant.

    Args:
        t_min: the smallest time to train on; the process's own if None.
    """

    def times(sde: SDE, u: jax.Array) -> tuple[jax.Array, jax.Array]:
        low = sde.t_min if t_min is None else t_min
        start, end = (sde.log_snr(jnp.asarray(t, u.dtype)) for t in (low, sde.t_max))
        t = jnp.clip(sde.time_at_log_snr(start + (end - start) * u), low, sde.t_max)
        return t, (start - end) / (sde.t_max - low) * sde.sigma(t) ** 2 / sde.g2(t)

    return times


def discrete_times() -> TimeDistribution:
    """One of the N levels of a discrete sequence, each as likely: t = i / (N - 1).

    With the weighting "simple", equation (1) of the module is then

    - on discrete.SMLD, reduced by "half_sum", the loss of NCSN with its lambda = sigma^2 (Song and
      Ermon 2019, arXiv 1907.05600, equations 5 and 6);
    - on discrete.DDPM, L_simple (Ho et al. 2020, arXiv 2006.11239, equation 14).
    """

    def times(sde: SDE, u: jax.Array) -> tuple[jax.Array, jax.Array]:
        if sde.scales is None:
            raise ValueError(f"{type(sde).__name__} has no discrete levels: use smld or ddpm")
        index = jnp.minimum(jnp.floor(u * sde.scales), sde.scales - 1)
        return index / (sde.scales - 1), jnp.ones_like(u)

    return times


TIMES: dict[str, Callable[..., TimeDistribution]] = {
    "uniform": uniform_times,
    "log_normal": log_normal_times,
    "logit_normal": logit_normal_times,
    "importance": importance_times,
    "discrete": discrete_times,
}


def draw_times(
    key: jax.Array, sde: SDE, batch: int, times: TimeDistribution, stratified: bool = False
) -> tuple[jax.Array, jax.Array]:
    """Draw a batch of times.

    Args:
        key: JAX random key.
        sde: the forward process.
        batch: how many; the global batch.
        times: their distribution.
        stratified: spread the batch evenly, one shared offset u and u + i / batch modulo 1, so that
            every t has the same distribution but the batch mean has less variance (Kingma et al.
            2021, arXiv 2107.00630, Appendix I.1).

    Returns:
        t and c(t) of equation (1), each [batch].
    """
    if stratified:
        u = (jax.random.uniform(key) + jnp.arange(batch) / batch) % 1.0
    else:
        u = jax.random.uniform(key, (batch,))
    # The quantile functions of the normal distributions are infinite at 0 and 1.
    tiny = jnp.finfo(u.dtype).eps
    return times(sde, jnp.clip(u, tiny, 1 - tiny))


QUANTITIES: dict[str, Callable[[SDE, jax.Array, Prediction], jax.Array]] = {
    "x0": lambda sde, t, prediction: prediction.x0,
    "eps": lambda sde, t, prediction: prediction.eps,
    "score": lambda sde, t, prediction: prediction.score(sde, t),
    "v": lambda sde, t, prediction: prediction.v(sde, t),
    "velocity": lambda sde, t, prediction: prediction.velocity(sde, t),
}


class Weighting(NamedTuple):
    """q and lambda of equation (1).

    Attributes:
        quantity: what is regressed, a name in QUANTITIES.
        weight: lambda, a function of the process and t [batch].
    """

    quantity: str
    weight: Callable[[SDE, jax.Array], jax.Array]


def simple_weighting() -> Weighting:
    """sigma^2 on the score, that is 1 on eps: L_simple (Ho et al. 2020, arXiv 2006.11239)."""
    return Weighting("eps", lambda sde, t: jnp.ones_like(t))


def likelihood_weighting() -> Weighting:
    """g^2 on the score: the loss bounds -log p (Song et al. 2021, arXiv 2101.09258, Theorem 1)."""
    return Weighting("eps", lambda sde, t: sde.g2(t) / sde.sigma(t) ** 2)


def edm_weighting(sigma_data: float = 0.5) -> Weighting:
    """(s^2 + sigma_data^2) / (s sigma_data)^2 on x0 with s = sigma / alpha (Karras et al. 2022).

    Args:
        sigma_data: standard deviation of the data.
    """

    def weight(sde: SDE, t: jax.Array) -> jax.Array:
        return sigma_data**-2 + (sde.alpha(t) / sde.sigma(t)) ** 2

    return Weighting("x0", weight)


def uniform_weighting(quantity: str = "velocity") -> Weighting:
    """1 on a quantity of choice; on the velocity it is flow matching (arXiv 2210.02747).

    Args:
        quantity: a name in QUANTITIES.
    """
    if quantity not in QUANTITIES:
        raise ValueError(f"unknown quantity {quantity!r}; choose from {', '.join(QUANTITIES)}")
    return Weighting(quantity, lambda sde, t: jnp.ones_like(t))


WEIGHTINGS: dict[str, Callable[..., Weighting]] = {
    "simple": simple_weighting,
    "likelihood": likelihood_weighting,
    "edm": edm_weighting,
    "uniform": uniform_weighting,
}

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
