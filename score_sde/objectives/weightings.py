"""What is regressed, and how its error is weighted along the process."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from score_sde.prediction import Prediction
from score_sde.processes import SDE

QUANTITIES: dict[str, Callable[[SDE, jax.Array, Prediction], jax.Array]] = {
    "x0": lambda sde, t, prediction: prediction.x0,
    "eps": lambda sde, t, prediction: prediction.eps,
    "score": lambda sde, t, prediction: prediction.score(sde, t),
    "v": lambda sde, t, prediction: prediction.v(sde, t),
    "velocity": lambda sde, t, prediction: prediction.velocity(sde, t),
}


class Weighting(NamedTuple):
    """q and lambda of equation (1) of objectives.denoising.

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


def min_snr_weighting(gamma: float = 5.0) -> Weighting:
    """min(SNR, gamma) on x0, that is min(1, gamma / SNR) on eps (Hang et al. 2023, 2303.09556).

    Args:
        gamma: the SNR from which on x0 weighs no more.
    """
    return Weighting("eps", lambda sde, t: jnp.minimum(1, gamma / jnp.exp(sde.log_snr(t))))


def soft_min_snr_weighting(gamma: float = 5.0) -> Weighting:
    """1 / (1 / SNR + 1 / gamma) on x0, that is gamma / (gamma + SNR) on eps: a smooth min-SNR.

    Crowson et al. 2024 (arXiv 2401.11605) have gamma = 1 / sigma_data^2. On eps it is
    sigmoid(log gamma - log SNR).

    Args:
        gamma: as for `min_snr_weighting`.
    """
    return Weighting("eps", lambda sde, t: jax.nn.sigmoid(math.log(gamma) - sde.log_snr(t)))


def p2_weighting(gamma: float = 1.0, k: float = 1.0) -> Weighting:
    """1 / (k + SNR)^gamma on eps (Choi et al. 2022, arXiv 2204.00227).

    Args:
        gamma: how much less the times of little noise weigh; 0 for L_simple.
        k: keeps the weight finite where no signal is left.
    """
    return Weighting("eps", lambda sde, t: (k + jnp.exp(sde.log_snr(t))) ** -gamma)


def sigmoid_weighting(bias: float = 2.0) -> Weighting:
    """sigmoid(bias - log SNR) in the weighted bound of Kingma and Gao 2023 (arXiv 2303.00848).

    It integrates the error of eps over log SNR: of t, uniform, that is the weight times
    -d log_snr / dt = g^2 / sigma^2. So it is for uniform times, or, with less variance, importance
    times.

    Args:
        bias: the log SNR above which less and less counts.
    """

    def weight(sde: SDE, t: jax.Array) -> jax.Array:
        return jax.nn.sigmoid(bias - sde.log_snr(t)) * sde.g2(t) / sde.sigma(t) ** 2

    return Weighting("eps", weight)


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
    "min_snr": min_snr_weighting,
    "soft_min_snr": soft_min_snr_weighting,
    "p2": p2_weighting,
    "sigmoid": sigmoid_weighting,
    "uniform": uniform_weighting,
}
