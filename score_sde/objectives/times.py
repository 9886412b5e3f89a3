"""How t is drawn: distributions of times, and batches of them."""

from __future__ import annotations

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtri

from score_sde.processes import SDE, Process
from score_sde.processes.base import on_host

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

    With the weighting "simple", equation (1) of objectives.denoising is then

    - on processes.SMLD, reduced by "half_sum", the loss of NCSN with its lambda = sigma^2 (Song and
      Ermon 2019, arXiv 1907.05600, equations 5 and 6);
    - on processes.DDPM, L_simple (Ho et al. 2020, arXiv 2006.11239, equation 14).
    """

    def times(sde: SDE, u: jax.Array) -> tuple[jax.Array, jax.Array]:
        if sde.scales is None:
            raise ValueError(f"{type(sde).__name__} has no discrete levels: use smld or ddpm")
        index = jnp.minimum(jnp.floor(u * sde.scales), sde.scales - 1)
        return index / (sde.scales - 1), jnp.ones_like(u)

    return times


def mode_times(scale: float = 1.29) -> TimeDistribution:
    """t, scaled to [t_min, t_max], is 1 - u - s (cos^2(pi u / 2) - 1 + u) of a uniform u.

    Esser et al. 2024 (arXiv 2403.03206), equation 20.

    Args:
        scale: s, in [-1, LARGEST_MODE_SCALE]; above 0 favours the middle of [t_min, t_max].
    """

    def times(sde: SDE, u: jax.Array) -> tuple[jax.Array, jax.Array]:
        share = 1 - u - scale * (jnp.cos(math.pi / 2 * u) ** 2 - 1 + u)
        return sde.t_min + (sde.t_max - sde.t_min) * share, jnp.ones_like(u)

    return times


LARGEST_MODE_SCALE = 2 / (math.pi - 2)  # above it equation 20 is not monotonic


def cosine_log_snr_times() -> TimeDistribution:
    """log SNR of the cosine schedule at a uniform time, -2 log tan(pi u / 2), whatever the process.

    Nichol and Dhariwal 2021 (arXiv 2102.09672); Kingma and Gao 2023 (arXiv 2303.00848). On the
    straight path of rectified flow t then has the density 2 / (pi (1 - 2 t + 2 t^2)), "CosMap" of
    Esser et al. 2024 (arXiv 2403.03206).
    """

    def times(sde: SDE, u: jax.Array) -> tuple[jax.Array, jax.Array]:
        return _at_log_snr(sde, -2 * jnp.log(jnp.tan(math.pi / 2 * u)))

    return times


def sigmoid_log_snr_times(temperature: float = 1.0) -> TimeDistribution:
    """log SNR of the sigmoid schedule at a uniform time, whatever the process.

    alpha^2 falls as the sigmoid of a line from -3 to 3 over the temperature, scaled to go from 1 to
    0 (Jabri et al. 2022, arXiv 2212.11972; Chen 2023, arXiv 2301.10972). With w = 3 / temperature,
    SNR = sinh(w (1 - u)) / sinh(w u).

    Args:
        temperature: tau; the smaller, the more examples with much or with little noise.
    """
    w = 3 / temperature

    def log_sinh(x: jax.Array) -> jax.Array:  # but for a factor 2, which cancels
        return x + jnp.log(-jnp.expm1(-2 * x))

    def times(sde: SDE, u: jax.Array) -> tuple[jax.Array, jax.Array]:
        return _at_log_snr(sde, log_sinh(w * (1 - u)) - log_sinh(w * u))

    return times


def _at_log_snr(sde: SDE, log_snr: jax.Array) -> tuple[jax.Array, jax.Array]:
    t = jnp.clip(sde.time_at_log_snr(log_snr), sde.t_min, sde.t_max)
    return t, jnp.ones_like(log_snr)


def shifted_times(
    times: TimeDistribution, shift: float, t_min: float | None = None
) -> TimeDistribution:
    """Times at which sigma / alpha is `shift` times as large: those of another resolution.

    The more pixels show a detail, the more noise hides it. Hoogeboom et al. 2023 (2301.11093):
    shift = d / 64 for d x d pixels, of `cosine_log_snr_times`. Esser et al. 2024 (arXiv 2403.03206,
    equation 23): shift = sqrt(m / n) for m pixels in place of n. Chen 2023 (arXiv 2301.10972) has
    data scaled by b: shift = 1 / b.

    Args:
        times: of the other resolution; of c(t) = 1.
        shift: the factor.
        t_min: the smallest time to train on; the process's own if None.
    """

    def moved(sde: SDE, u: jax.Array) -> tuple[jax.Array, jax.Array]:
        t, correction = times(sde, u)
        t = sde.time_at_log_snr(sde.log_snr(t) - 2 * math.log(shift))
        return jnp.clip(t, sde.t_min if t_min is None else t_min, sde.t_max), correction

    return moved


TIMES: dict[str, Callable[..., TimeDistribution]] = {
    "uniform": uniform_times,
    "log_normal": log_normal_times,
    "logit_normal": logit_normal_times,
    "mode": mode_times,
    "cosine_log_snr": cosine_log_snr_times,
    "sigmoid_log_snr": sigmoid_log_snr_times,
    "importance": importance_times,
    "discrete": discrete_times,
}


def draw_times(
    key: jax.Array, sde: Process, batch: int, times: TimeDistribution, stratified: bool = False
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


_SPREAD, _LEAST = 1000, 0.01


def check_times(times: TimeDistribution, sde: SDE) -> None:
    """Raise ValueError if nearly all times that are drawn lie on an end of the process.

    Args:
        times: their distribution, which is clipped to the times of the process.
        sde: the process.
    """
    u = (np.arange(_SPREAD, dtype=np.float32) + 0.5) / _SPREAD
    t = on_host(lambda u: times(sde, u)[0], u)
    low, high = np.float32([sde.t_min, sde.t_max])
    if np.mean((t > low) & (t < high)) < _LEAST:
        raise ValueError(
            f"of the times that are drawn nearly all lie on the ends, t={sde.t_min:g} and "
            f"t={sde.t_max:g}, of {sde}: give another time_mean, time_std or time_shift"
        )


def check_end(what: str, sde: SDE) -> None:
    """Raise ValueError if a process has no signal left at its end, where `what` is infinite."""
    if not sde.alpha(np.asarray(sde.t_max)):
        raise ValueError(
            f"{what} is infinite where no signal is left, as at the end of {sde}: use a smaller "
            "config.sde.t_max"
        )


def check_t_min(t_min: float | None, sde: SDE) -> None:
    """Raise ValueError unless a smallest time to train on is one of the process."""
    if t_min is not None and not 0 < t_min < sde.t_max:
        raise ValueError(f"t_min={t_min} must be above 0 and below t_max={sde.t_max}")
