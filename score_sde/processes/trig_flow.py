"""The circle of TrigFlow."""

from __future__ import annotations

import dataclasses
import math
from typing import Annotated

import jax
from jax.typing import ArrayLike

from score_sde.processes.base import SDE, namespace
from score_sde.values import Positive, above


@dataclasses.dataclass(frozen=True)
class TrigFlow(SDE):
    """The variance-preserving path alpha = cos t, sigma = sin t, whose time is the angle.

    Lu and Song 2024 (arXiv 2410.11081), Section 3, for data of unit standard deviation; the
    trigonometric interpolant of Albergo and Vanden-Eijnden 2022 (arXiv 2209.15571). It is CosineVP
    in another time. f diverges at t = pi / 2, where alpha = 0: hence t_max.

    Attributes:
        t_min: smallest time.
        t_max: largest time, below pi / 2.
    """

    t_min: Positive = 1e-3
    t_max: Annotated[float, above(0, at_most=math.pi / 2)] = 1.57

    def alpha(self, t: ArrayLike) -> jax.Array:
        """alpha(t) = cos t, as sin(pi / 2 - t), which is precise near the end; shape of t."""
        return namespace(t).sin(0.5 * math.pi - t)

    def sigma(self, t: ArrayLike) -> jax.Array:
        """sigma(t) = sin t; shape of t."""
        return namespace(t).sin(t)

    def alpha_dot(self, t: ArrayLike) -> jax.Array:
        """alpha' = -sigma; shape of t."""
        return -self.sigma(t)

    def sigma_dot(self, t: ArrayLike) -> jax.Array:
        """sigma' = alpha; shape of t."""
        return self.alpha(t)

    def g2(self, t: ArrayLike) -> jax.Array:
        """g^2 = 2 tan t; shape of t."""
        return 2 * self.sigma(t) / self.alpha(t)

    def time_at_log_snr(self, log_snr: ArrayLike) -> jax.Array:
        """t = arctan(exp(-log_snr / 2)); shape of log_snr."""
        xp = namespace(log_snr)
        return xp.arctan(xp.exp(-0.5 * log_snr))
