"""What is regressed, and how its error is weighted along the process."""

from __future__ import annotations

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
