"""The Fréchet distance between Gaussians fitted to two sets of features."""

from __future__ import annotations

import numpy as np


def moments(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance, in float64.

    Args:
        features: [n, d], n > 1.

    Returns:
        The mean [d] and the unbiased covariance [d, d].
    """
    features = np.asarray(features, np.float64)
    return features.mean(0), np.atleast_2d(np.cov(features, rowvar=False))


def frechet_distance(
    mean_1: np.ndarray, cov_1: np.ndarray, mean_2: np.ndarray, cov_2: np.ndarray
) -> float:
    """|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)), the squared 2-Wasserstein distance.

    Dowson and Landau 1982; Heusel et al. 2017 (arXiv 1706.08500). The trace of the root is that of
    (C1^(1/2) C2 C1^(1/2))^(1/2), which is symmetric: eigenvalues give it, also for singular
    covariances.

    Args:
        mean_1: [d].
        cov_1: [d, d].
        mean_2: [d].
        cov_2: [d, d].
    """
    values, vectors = np.linalg.eigh(cov_1)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    product = np.linalg.eigvalsh(root @ cov_2 @ root)
    trace = np.trace(cov_1) + np.trace(cov_2) - 2 * np.sqrt(np.maximum(product, 0)).sum()
    return float(np.sum((mean_1 - mean_2) ** 2) + trace)
