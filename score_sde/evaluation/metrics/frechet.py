"""The Fréchet distance between Gaussians fitted to two sets of features; FID for Inception's."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Moments(NamedTuple):
    """Mean and scatter of a set, in float64; of parts they add up to those of the whole.

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
    """Mean and covariance, in float64.

    Args:
        features: [n, d], n > 1.

    Returns:
        The mean [d] and the unbiased covariance [d, d].
    """
    both = Moments.of(features)
    return both.mean, both.covariance


def frechet_distance(
    mean_1: np.ndarray, cov_1: np.ndarray, mean_2: np.ndarray, cov_2: np.ndarray
) -> float:
    """|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)), the squared 2-Wasserstein distance.

    Dowson and Landau 1982; Heusel et al. 2017 (arXiv 1706.08500). With C = F F^T from eigenvalues,
    the trace of the root is the sum of the singular values of F1^T F2. So no product of
    covariances is formed, whose rounding the root would magnify: singular covariances do no harm.

    Args:
        mean_1: [d].
        cov_1: [d, d].
        mean_2: [d].
        cov_2: [d, d].
    """
    overlap = np.linalg.svd(_factor(cov_1).T @ _factor(cov_2), compute_uv=False).sum()
    return float(np.sum((mean_1 - mean_2) ** 2) + np.trace(cov_1) + np.trace(cov_2) - 2 * overlap)


def frechet_standard_error(groups: Sequence[Moments], mean: np.ndarray, cov: np.ndarray) -> float:
    """Standard error of the distance of a sample from fixed moments, by the grouped jackknife.

    sqrt((g - 1) / g sum_i (d_i - mean d)^2), with d_i the distance without group i (Efron and
    Tibshirani 1993, equation 11.5). It says nothing of the distance's bias, which falls as 1 / n.

    Args:
        groups: of the sample, of about equal size, at least 2.
        mean: of the reference, [d].
        cov: of the reference, [d, d].
    """
    factor, distances = _factor(cov), []
    for left_out in range(len(groups)):
        rest = functools.reduce(Moments.merge, (*groups[:left_out], *groups[left_out + 1 :]))
        # A third of the time of the distance itself, and less exact, which does not matter here.
        squares = np.linalg.eigvalsh(factor.T @ rest.covariance @ factor)
        overlap = np.sqrt(np.maximum(squares, 0)).sum()
        distances.append(
            np.sum((rest.mean - mean) ** 2) + np.trace(rest.covariance) - 2 * overlap
        )  # but for the trace of cov, the same in all
    return float(np.sqrt((len(groups) - 1) * np.var(distances)))


def _factor(cov: np.ndarray) -> np.ndarray:
    """F with F F^T = cov; eigenvalues below 0 are rounding."""
    values, vectors = np.linalg.eigh(np.asarray(cov, np.float64))
    return vectors * np.sqrt(np.maximum(values, 0))
