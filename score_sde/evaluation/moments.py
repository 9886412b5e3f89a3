"""Mean and covariance of features, in float64; of parts they add up to those of the whole."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Moments(NamedTuple):
    """Mean and scatter of a set.

    Attributes:
        n: how many features.
        mean: [d].
        scatter: the sum of (x - mean)(x - mean)^T, [d, d].
    """

    n: int
    mean: np.ndarray
    scatter: np.ndarray

    @classmethod
    def of(cls, features: np.ndarray) -> Moments:
        """Those of features [n, d], n > 0."""
        features = np.asarray(features, np.float64)
        mean = features.mean(0)
        centred = features - mean
        return cls(len(features), mean, centred.T @ centred)

    def merge(self, other: Moments) -> Moments:
        """Those of both sets together (Chan, Golub and LeVeque 1983), without cancellation."""
        n = self.n + other.n
        shift = other.mean - self.mean
        mean = self.mean + shift * (other.n / n)
        between = np.outer(shift, shift) * (self.n * other.n / n)
        return Moments(n, mean, self.scatter + other.scatter + between)

    @property
    def covariance(self) -> np.ndarray:
        """The unbiased covariance [d, d]; needs n > 1."""
        return self.scatter / (self.n - 1)


def moments(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance.

    Args:
        features: [n, d], n > 1.

    Returns:
        The mean [d] and the unbiased covariance [d, d].
    """
    both = Moments.of(features)
    return both.mean, both.covariance
