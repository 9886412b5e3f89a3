"""What of the time a network is told: a number for each example, by the name of what it is."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from score_sde.processes import SDE, Process

NOISE_LABELS: dict[str, Callable[[SDE, jax.Array], jax.Array]] = {
    # 999 t, so that t in [0, 1] covers the range of DDPM's integer time steps.
    "time": lambda sde, t: 999 * t,
    # As flow models of the makers of Stable Diffusion 3 count it.
    "thousandths": lambda sde, t: 1000 * t,
    "sigma": lambda sde, t: sde.sigma(t),
    # From data, 0, to noise, 1, of any process: the time of the cosine process at its noise level.
    "angle": lambda sde, t: (2 / math.pi) * jnp.arctan2(sde.sigma(t), sde.alpha(t)),
    # Of noise over signal, whose logarithm tells the levels of any process apart.
    "ratio": lambda sde, t: sde.sigma(t) / sde.alpha(t),
    # Index of the level in a discrete sequence with the largest noise first, as SMLD counts them.
    "level": lambda sde, t: jnp.round((1 - t) * (sde.scales - 1)),
    # Index of the nearest level of a discrete sequence with the least noise first, as DDPM counts.
    "nearest_level": lambda sde, t: nearest_level(sde, t),
    # The same count from 1 and, of N levels, in units of N / 1000; both also between two levels.
    "level_from_one": lambda sde, t: 1 + (sde.scales - 1) * t,
    "level_per_thousand": lambda sde, t: 1000 * (sde.scales - 1) / sde.scales * t,
    # From noise, 0, to data, 1, as flow matching counts time.
    "reversed_time": lambda sde, t: 1 - t,
    # -log alpha, which MDLM is told of tokens (Sahoo et al. 2024, arXiv 2406.07524): no more than
    # where a thousandth stays, as there.
    "total_noise": lambda sde, t: -jnp.log(jnp.maximum(sde.alpha(t), 1e-3)),
    # c_noise = log(sigma / alpha) / 4 (Karras et al. 2022, Table 1).
    "log_sigma": lambda sde, t: -sde.log_snr(t) / 8,
    # log(sigma / (2 alpha)): as VE models whose data were in [0, 1] are told it of data in [-1, 1].
    "log_half_sigma": lambda sde, t: -sde.log_snr(t) / 2 - math.log(2),
}


def told_whole(network: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
    """A network that is told its noise label, rounded; it is called as (x, label, ...)."""

    def told(x: jax.Array, label: jax.Array, *args: Any, **kwargs: Any) -> jax.Array:
        return network(x, jnp.round(label), *args, **kwargs)

    return told


def nearest_level(sde: SDE, t: jax.Array) -> jax.Array:
    """i of the level t_i = i / (N - 1) whose sigma / alpha is nearest to that of t; shape of t.

    So Karras et al. 2022 (arXiv 2206.00364, Table 1) ask models of N discrete levels.

    Args:
        sde: a discrete sequence, of sde.scales = N levels.
        t: time, [batch].
    """
    with np.errstate(divide="ignore", over="ignore"):  # no signal: infinitely far
        levels = np.exp(-0.5 * sde.log_snr(np.linspace(0.0, 1.0, sde.scales)))
    between = jnp.asarray((levels[1:] + levels[:-1]) / 2, t.dtype)
    ratio = jnp.exp(-0.5 * sde.log_snr(t))
    return jnp.searchsorted(between, ratio, side="right").astype(t.dtype)


def check_levels(noise_label: str, sde: Process) -> None:
    """Raise ValueError if a network is to be told levels that a process does not have."""
    if "level" in noise_label and sde.scales is None:
        raise ValueError(
            f"noise_label={noise_label} needs a discrete sequence, config.sde.name=smld or ddpm: "
            "use time, or another"
        )
