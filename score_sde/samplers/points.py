"""The points of a time grid: what a solver's table needs of the process at each."""

from __future__ import annotations

import dataclasses
import functools
from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from score_sde.processes import SDE


@dataclasses.dataclass(frozen=True)
class Points:
    """Times, and the process at each; float64 NumPy, [n] each (one point: [] each).

    Attributes:
        t: times.
        alpha: of x_t = alpha x_0 + sigma eps.
        sigma: of the same.
    """

    t: np.ndarray
    alpha: np.ndarray
    sigma: np.ndarray

    @classmethod
    def at(cls, sde: SDE, t: ArrayLike) -> Self:
        """The points at these times."""
        t = np.asarray(t, np.float64)[()]
        return cls(t, sde.alpha(t), sde.sigma(t))

    @classmethod
    def at_ratio(cls, sde: SDE, ratio: ArrayLike) -> Self:
        """The points at which sigma / alpha has these values."""
        return cls.at(sde, sde.time_at_log_snr(-2 * np.log(np.asarray(ratio, np.float64)[()])))

    @functools.cached_property
    def ratio(self) -> np.ndarray:
        """sigma / alpha, the noise level of the EDM frame; infinite where alpha is 0."""
        with np.errstate(divide="ignore"):
            return self.sigma / self.alpha

    @functools.cached_property
    def lam(self) -> np.ndarray:
        """lambda = log(alpha / sigma), half the log SNR; minus infinity where alpha is 0."""
        with np.errstate(divide="ignore"):
            return np.log(self.alpha / self.sigma)

    def __getitem__(self, i: int | slice) -> Self:
        """One of them, or some."""
        return type(self)(self.t[i], self.alpha[i], self.sigma[i])

    def __len__(self) -> int:
        return len(self.t)
