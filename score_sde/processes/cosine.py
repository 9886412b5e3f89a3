"""The cosine schedule."""

from __future__ import annotations

import dataclasses
import math
from typing import Annotated

import jax
from jax.typing import ArrayLike

from score_sde.processes.base import SDE, namespace
from score_sde.values import Positive, above


@dataclasses.dataclass(frozen=True)
class CosineVP(SDE):
    """The variance-preserving SDE with alpha = cos(pi t / 2), sigma = sin(pi t / 2).

    The cosine schedule of Nichol and Dhariwal 2021 (arXiv 2102.09672) without its offset, as in
    Salimans and Ho 2022 (arXiv 2202.00512). f diverges at t = 1, where alpha = 0: hence t_max.

    Attributes:
        t_min: smallest time.
        t_max: largest time, below 1.
    """

    t_min: Positive = 1e-3
    t_max: Annotated[float, above(0, at_most=1)] = 0.999

    def alpha(self, t: ArrayLike) -> jax.Array:
        """alpha(t) = cos(pi t / 2), as sin(pi (1 - t) / 2), which is precise near t = 1."""
        return namespace(t).sin(0.5 * math.pi * (1 - t))

    def sigma(self, t: ArrayLike) -> jax.Array:
        """sigma(t) = sin(pi t / 2); shape of t."""
        return namespace(t).sin(0.5 * math.pi * t)

    def alpha_dot(self, t: ArrayLike) -> jax.Array:
        """alpha' = -(pi / 2) sigma; shape of t."""
        return -0.5 * math.pi * self.sigma(t)

    def sigma_dot(self, t: ArrayLike) -> jax.Array:
        """sigma' = (pi / 2) alpha; shape of t."""
        return 0.5 * math.pi * self.alpha(t)

    def g2(self, t: ArrayLike) -> jax.Array:
        """g^2 = pi tan(pi t / 2); shape of t."""
        return math.pi * self.sigma(t) / self.alpha(t)

    def time_at_log_snr(self, log_snr: ArrayLike) -> jax.Array:
        """t = (2 / pi) arctan(exp(-log_snr / 2)); shape of log_snr."""
        xp = namespace(log_snr)
        return (2 / math.pi) * xp.arctan(xp.exp(-0.5 * log_snr))
