"""The straight path of rectified flow."""

from __future__ import annotations

import dataclasses
from typing import Annotated, ClassVar

import jax
from jax.typing import ArrayLike

from score_sde.processes.base import SDE, namespace, number
from score_sde.values import Positive, above


@dataclasses.dataclass(frozen=True)
class RectifiedFlow(SDE):
    """The straight path alpha = 1 - t, sigma = t between data and noise, as an SDE.

    Liu et al. 2022 (arXiv 2209.03003); Lipman et al. 2022 (arXiv 2210.02747). Their velocity is the
    drift of the probability-flow ODE. f diverges at t = 1, where alpha = 0: hence t_max.

    Attributes:
        t_min: smallest time.
        t_max: largest time, below 1.
    """

    straight: ClassVar[bool] = True

    t_min: Positive = 1e-3
    t_max: Annotated[float, above(0, at_most=1)] = 0.999

    def alpha(self, t: ArrayLike) -> jax.Array:
        """alpha(t) = 1 - t."""
        return namespace(t).asarray(1 - t)

    def sigma(self, t: ArrayLike) -> jax.Array:
        """sigma(t) = t."""
        return namespace(t).asarray(t)

    def alpha_dot(self, t: ArrayLike) -> jax.Array:
        """alpha' = -1; shape of t."""
        return -namespace(t).ones_like(t)

    def sigma_dot(self, t: ArrayLike) -> jax.Array:
        """sigma' = 1; shape of t."""
        return namespace(t).ones_like(t)

    def g2(self, t: ArrayLike) -> jax.Array:
        """g^2 = 2 t / (1 - t); shape of t."""
        t = number(t)
        return 2 * t / (1 - t)

    def time_at_log_snr(self, log_snr: ArrayLike) -> jax.Array:
        """t = 1 / (1 + exp(log_snr / 2)); shape of log_snr."""
        return 1 / (1 + namespace(log_snr).exp(0.5 * log_snr))
