"""The sub-VP SDE."""

from __future__ import annotations

import dataclasses

import jax
from jax.typing import ArrayLike

from score_sde.processes.base import namespace
from score_sde.processes.vp import LinearBeta


@dataclasses.dataclass(frozen=True)
class SubVP(LinearBeta):
    """The sub-VP SDE, whose variance never exceeds VP's: sigma = 1 - alpha^2.

    Song et al. 2021 (arXiv 2011.13456), equations 13 and 29.

    Attributes:
        beta_min: beta(0).
        beta_max: beta(1).
        t_min: smallest time.
        t_max: largest time.
    """

    def sigma(self, t: ArrayLike) -> jax.Array:
        """sigma(t) = 1 - exp(-int_0^t beta): a standard deviation, not a variance; shape of t."""
        return -namespace(t).expm1(-self._integral_beta(t))

    def sigma_dot(self, t: ArrayLike) -> jax.Array:
        """sigma' = beta alpha^2; shape of t."""
        return self.beta(t) * self.alpha(t) ** 2

    def g2(self, t: ArrayLike) -> jax.Array:
        """g^2 = beta (1 - exp(-2 int_0^t beta)); shape of t."""
        return -self.beta(t) * namespace(t).expm1(-2 * self._integral_beta(t))

    def time_at_log_snr(self, log_snr: ArrayLike) -> jax.Array:
        """The inverse of log_snr: int_0^t beta = 2 arcsinh(exp(-log_snr / 2) / 2).

        With k = sigma / alpha = (1 - alpha^2) / alpha, alpha solves alpha^2 + k alpha = 1, so
        alpha = exp(-arcsinh(k / 2)).
        """
        xp = namespace(log_snr)
        return self._time_at_integral_beta(2 * xp.arcsinh(0.5 * xp.exp(-0.5 * log_snr)))
