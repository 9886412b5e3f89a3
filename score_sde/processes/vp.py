"""The variance-preserving SDE, and the linear schedule that it shares with sub-VP."""

from __future__ import annotations

import dataclasses

import jax
from jax.typing import ArrayLike

from score_sde.processes.base import SDE, namespace, number
from score_sde.values import Positive


@dataclasses.dataclass(frozen=True)
class LinearBeta(SDE):
    """alpha of the linear schedule beta(t) that VP and sub-VP share.

    Attributes:
        beta_min: beta(0).
        beta_max: beta(1).
        t_min: smallest time.
        t_max: largest time.
    """

    beta_min: Positive = 0.1
    beta_max: Positive = 20.0
    t_min: Positive = 1e-3
    t_max: Positive = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.beta_min <= self.beta_max:
            raise ValueError(
                f"need 0 < beta_min <= beta_max, not {self.beta_min} and {self.beta_max}"
            )

    def beta(self, t: ArrayLike) -> jax.Array:
        """beta(t) = beta_min + t (beta_max - beta_min); shape of t."""
        return self.beta_min + number(t) * (self.beta_max - self.beta_min)

    def _integral_beta(self, t: ArrayLike) -> jax.Array:
        """The integral of beta from 0 to t, which is -2 log alpha(t); shape of t."""
        t = number(t)
        return t * self.beta_min + 0.5 * t**2 * (self.beta_max - self.beta_min)

    def _time_at_integral_beta(self, integral: jax.Array) -> jax.Array:
        """The positive root of the quadratic, in the form that does not cancel for small t."""
        xp = namespace(integral)
        slope = self.beta_max - self.beta_min
        return 2 * integral / (self.beta_min + xp.sqrt(self.beta_min**2 + 2 * slope * integral))

    def alpha(self, t: ArrayLike) -> jax.Array:
        """alpha(t) = exp(-1/2 int_0^t beta); shape of t."""
        return namespace(t).exp(-0.5 * self._integral_beta(t))

    def alpha_dot(self, t: ArrayLike) -> jax.Array:
        """alpha' = -beta alpha / 2; shape of t."""
        return -0.5 * self.beta(t) * self.alpha(t)

    def f(self, t: ArrayLike) -> jax.Array:
        """f(t) = -beta(t) / 2; shape of t."""
        return -0.5 * self.beta(t)


@dataclasses.dataclass(frozen=True)
class VP(LinearBeta):
    """The variance-preserving SDE, DDPM in continuous time: alpha^2 + sigma^2 = 1.

    Song et al. 2021 (arXiv 2011.13456), equations 11 and 33, with the linear beta of their
    experiments.

    Attributes:
        beta_min: beta(0).
        beta_max: beta(1).
        t_min: smallest time; the paper samples down to 1e-3 and trains down to 1e-5.
        t_max: largest time.
    """

    def sigma(self, t: ArrayLike) -> jax.Array:
        """sigma(t) = sqrt(1 - exp(-int_0^t beta)); shape of t."""
        xp = namespace(t)
        return xp.sqrt(-xp.expm1(-self._integral_beta(t)))

    def sigma_dot(self, t: ArrayLike) -> jax.Array:
        """sigma' = beta alpha^2 / (2 sigma); shape of t."""
        return 0.5 * self.beta(t) * self.alpha(t) ** 2 / self.sigma(t)

    def g2(self, t: ArrayLike) -> jax.Array:
        """g^2 = beta; shape of t."""
        return self.beta(t)

    def log_snr(self, t: ArrayLike) -> jax.Array:
        """-log(exp(int_0^t beta) - 1), without that exponential; shape of t."""
        integral = self._integral_beta(t)
        return -integral - namespace(t).log(-namespace(t).expm1(-integral))

    def time_at_log_snr(self, log_snr: ArrayLike) -> jax.Array:
        """The inverse of log_snr: int_0^t beta = log(1 + exp(-log_snr)); shape of log_snr."""
        xp = namespace(log_snr)
        return self._time_at_integral_beta(xp.logaddexp(-number(log_snr), xp.zeros_like(log_snr)))

    def discretize(self, t: ArrayLike, s: ArrayLike) -> tuple[jax.Array, jax.Array]:
        """DDPM's step x_t = sqrt(1 - b) x_s + sqrt(b) z with b = beta(t) (t - s)."""
        xp = namespace(t)
        b = self.beta(t) * (number(t) - number(s))
        return xp.sqrt(1 - b), xp.sqrt(b)

    def ancestral(self, t: ArrayLike, s: ArrayLike) -> tuple[jax.Array, jax.Array, jax.Array]:
        """DDPM's step and the larger of its two noise levels, sqrt(b), as the paper samples it."""
        a, g = self.discretize(t, s)
        return a, g, g
