"""The process of EDM."""

from __future__ import annotations

import dataclasses

import jax
from jax.typing import ArrayLike

from score_sde.processes.base import SDE, namespace
from score_sde.values import Positive


@dataclasses.dataclass(frozen=True)
class EDM(SDE):
    """alpha = 1, sigma = t: time is the noise level (Karras et al. 2022, arXiv 2206.00364).

    Attributes:
        t_min: smallest noise level.
        t_max: largest noise level.
    """

    t_min: Positive = 0.002
    t_max: Positive = 80.0

    def alpha(self, t: ArrayLike) -> jax.Array:
        """alpha(t) = 1; shape of t."""
        return namespace(t).ones_like(t)

    def alpha_dot(self, t: ArrayLike) -> jax.Array:
        """alpha' = 0; shape of t."""
        return namespace(t).zeros_like(t)

    def sigma(self, t: ArrayLike) -> jax.Array:
        """sigma(t) = t."""
        return namespace(t).asarray(t)

    def sigma_dot(self, t: ArrayLike) -> jax.Array:
        """sigma' = 1; shape of t."""
        return namespace(t).ones_like(t)

    def time_at_log_snr(self, log_snr: ArrayLike) -> jax.Array:
        """t = exp(-log_snr / 2); shape of log_snr."""
        return namespace(log_snr).exp(-0.5 * log_snr)

    @property
    def prior_std(self) -> float:
        """sigma(t_max) = t_max."""
        return self.t_max
