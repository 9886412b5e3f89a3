"""A process of one's own, of two functions."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.typing import ArrayLike

from score_sde.processes.base import SDE, at
from score_sde.sections import DERIVED

Function = Callable[[jax.Array], jax.Array]

OWN = "own_"  # begins the name of each
_TIMES = 257  # at which the two functions are looked at


@dataclasses.dataclass(frozen=True, repr=False)
class FromAlphaSigma(SDE):
    """x_t = alpha(t) x_0 + sigma(t) eps with alpha and sigma as functions of jax.numpy.

    Their derivatives, and with them f and g, are those of automatic differentiation.

    Attributes:
        alpha_of: alpha(t), elementwise.
        sigma_of: sigma(t), elementwise.
        t_min: smallest time.
        t_max: largest time; sigma(t_max) is the standard deviation of the prior, so it should be
            large against what alpha(t_max) leaves of the data.

    Raises:
        ValueError: alpha or sigma is not above 0 and finite, or log(alpha / sigma) does not fall.
    """

    alpha_of: Function = dataclasses.field(metadata=DERIVED)
    sigma_of: Function = dataclasses.field(metadata=DERIVED)
    t_min: float = 1e-3
    t_max: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        t = np.linspace(self.t_min, self.t_max, _TIMES)
        values = {"alpha": self.alpha(t), "sigma": self.sigma(t)}
        for name, value in values.items():
            if value.shape != t.shape:
                raise ValueError(f"{name}(t) must have the shape of t, {t.shape}: {value.shape}")
            bad = ~(np.isfinite(value) & (value > 0))
            if bad.any():
                raise ValueError(
                    f"{name}(t) must be above 0 and finite from t_min={self.t_min} to "
                    f"t_max={self.t_max}: it is {value[bad][0]} at t={t[bad][0]:g}"
                )
        rises = np.diff(np.log(values["alpha"] / values["sigma"])) >= 0
        if rises.any():
            raise ValueError(
                "alpha(t) / sigma(t) must fall with t, from data to noise: it does not at "
                f"t={t[:-1][rises][0]:g}"
            )

    def alpha(self, t: ArrayLike) -> jax.Array:
        """alpha(t); shape of t."""
        return at(self.alpha_of, t)

    def sigma(self, t: ArrayLike) -> jax.Array:
        """sigma(t); shape of t."""
        return at(self.sigma_of, t)

    def __repr__(self) -> str:
        return f"{self.name}(t_min={self.t_min}, t_max={self.t_max})"

    @property
    def parameters(self) -> dict[str, Any]:
        """Its times, and the name that stands for its functions."""
        return {**super().parameters, "name": self.name}

    @property
    def name(self) -> str:
        """own_ and eight hexadecimal digits, which are those of its alpha and sigma."""
        t = np.linspace(self.t_min, self.t_max, _TIMES)
        # Six digits: the last ones of exp and its like are not the same on all machines.
        values = " ".join(f"{value:.6e}" for value in (*self.alpha(t), *self.sigma(t)))
        return f"{OWN}{hashlib.sha256(values.encode()).hexdigest()[:8]}"

    @property
    def prior_std(self) -> float:
        """sigma(t_max)."""
        return float(self.sigma(np.asarray(self.t_max)))


def from_alpha_sigma(
    alpha: Function, sigma: Function, *, t_min: float = 1e-3, t_max: float = 1.0
) -> FromAlphaSigma:
    """A process of one's own: x_t = alpha(t) x_0 + sigma(t) eps, eps ~ N(0, I).

    Args:
        alpha: of a JAX array of times, elementwise, written with jax.numpy.
        sigma: likewise.
        t_min: smallest time, above 0.
        t_max: largest time, where the prior N(0, sigma(t_max)^2 I) stands for x.

    Raises:
        ValueError: alpha or sigma is not above 0 and finite, or alpha / sigma does not fall.
    """
    return FromAlphaSigma(alpha, sigma, t_min, t_max)
