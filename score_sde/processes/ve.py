"""The variance-exploding SDE."""

from __future__ import annotations

import dataclasses
import math

import jax
from jax.typing import ArrayLike

from score_sde.processes.base import SDE, namespace, number
from score_sde.values import Positive


@dataclasses.dataclass(frozen=True)
class VE(SDE):
    """The variance-exploding SDE, SMLD in continuous time: sigma(t) is a geometric sequence.

    Song et al. 2021 (arXiv 2011.13456), equations 9 and 30, with sigma(t) itself (not
    sqrt(sigma(t)^2 - sigma(0)^2)) as the standard deviation, as in the published models.

    Attributes:
        sigma_min: sigma(0).
        sigma_max: sigma(1).
        t_min: smallest time.
        t_max: largest time.
    """

    sigma_min: Positive = 0.01
    sigma_max: Positive = 50.0
    t_min: Positive = 1e-5
    t_max: Positive = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.sigma_min < self.sigma_max:
            raise ValueError(
                f"need 0 < sigma_min < sigma_max, not {self.sigma_min} and {self.sigma_max}"
            )

    @property
    def _log_ratio(self) -> float:
        return math.log(self.sigma_max / self.sigma_min)

    def alpha(self, t: ArrayLike) -> jax.Array:
        """alpha(t) = 1; shape of t."""
        return namespace(t).ones_like(t)

    def alpha_dot(self, t: ArrayLike) -> jax.Array:
        """alpha' = 0; shape of t."""
        return namespace(t).zeros_like(t)

    def sigma(self, t: ArrayLike) -> jax.Array:
        """sigma(t) = sigma_min (sigma_max / sigma_min)^t; shape of t."""
        # A power: exp(t log ratio) would round its large argument, which Fourier features of
        # log sigma, up to 300 radians per unit, turn into an error of the score.
        return self.sigma_min * namespace(t).power(self.sigma_max / self.sigma_min, t)

    def sigma_dot(self, t: ArrayLike) -> jax.Array:
        """sigma' = sigma log(sigma_max / sigma_min); shape of t."""
        return self.sigma(t) * self._log_ratio

    def time_at_log_snr(self, log_snr: ArrayLike) -> jax.Array:
        """The inverse of log_snr = -2 log sigma(t); shape of log_snr."""
        return (-0.5 * number(log_snr) - math.log(self.sigma_min)) / self._log_ratio

    @property
    def prior_std(self) -> float:
        """sigma(t_max), so sigma_max for t_max = 1."""
        return self.sigma_min * math.exp(self.t_max * self._log_ratio)

    def discretize(self, t: ArrayLike, s: ArrayLike) -> tuple[jax.Array, jax.Array]:
        """SMLD's step x_t = x_s + sqrt(sigma_t^2 - sigma_s^2) z; s = 0 stands for sigma = 0."""
        a, g, _ = self.ancestral(t, s)
        return a, g
