"""The Fréchet distance against closed forms."""

import numpy as np
import pytest

from score_sde.evaluation.metrics.fid import FID, frechet_distance, frechet_standard_error
from score_sde.evaluation.moments import Moments, moments
from score_sde.evaluation.reference import Reference
from score_sde.evaluation.samples import Drawn


def test_commuting_covariances():
    """For diagonal covariances it is the sum of squared differences of the deviations."""
    mean_1, mean_2 = np.array([1.0, -2.0, 0.0]), np.array([0.5, 1.0, 3.0])
    std_1, std_2 = np.array([1.0, 2.0, 0.0]), np.array([0.5, 3.0, 0.7])
    expected = ((mean_1 - mean_2) ** 2).sum() + ((std_1 - std_2) ** 2).sum()
    found = frechet_distance(mean_1, np.diag(std_1**2), mean_2, np.diag(std_2**2))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_general_covariances_against_the_matrix_root():
    from scipy.linalg import sqrtm

    a, b = np.random.RandomState(0).randn(2, 6, 6)
    cov_1, cov_2 = a @ a.T, b @ b.T
    expected = np.trace(cov_1 + cov_2 - 2 * np.real(sqrtm(cov_1 @ cov_2)))
    zero = np.zeros(6)
    np.testing.assert_allclose(frechet_distance(zero, cov_1, zero, cov_2), expected, rtol=1e-9)
    np.testing.assert_allclose(frechet_distance(zero, cov_1, zero, cov_1), 0, atol=1e-12)


def test_singular_covariances():
    """Of 10 images with 200 features each: equal sets are at 0, a shift at its square.

    The root of a product of covariances would err by 1e-8 for each of the 190 empty directions.
    """
    x = np.random.default_rng(0).normal(size=(10, 200))
    mean, cov = moments(x)
    assert abs(frechet_distance(mean, cov, mean, cov)) < 1e-11
    np.testing.assert_allclose(frechet_distance(mean + 0.1, cov, mean, cov), 2, rtol=1e-11)
    # Orthogonal supports: nothing overlaps, so it is the sum of the traces.
    a, b = np.diag([1.0, 2.0, 0, 0]), np.diag([0, 0, 3.0, 4.0])
    np.testing.assert_allclose(frechet_distance(np.zeros(4), a, np.zeros(4), b), 10, rtol=1e-12)


def gaussians():
    """50,000 draws in 3 dimensions, and another Gaussian: their distance in closed form."""
    mean, std = np.array([0.3, -0.2, 0.5]), np.array([1.5, 0.8, 1.0])
    x = np.random.default_rng(2).normal(size=(50_000, 3)) * std + mean
    return x, mean @ mean + ((std - 1) ** 2).sum()


def test_samples_of_gaussians_and_the_standard_error():
    """Within 3 of the standard errors, which are those of the delta method within a factor 2."""
    x, expected = gaussians()
    zero, one = np.zeros(3), np.eye(3)
    error = frechet_standard_error([Moments.of(g) for g in np.array_split(x, 10)], zero, one)
    assert abs(frechet_distance(*moments(x), zero, one) - expected) < 3 * error
    # d = sum m^2 + (s - 1)^2: variance of m is s^2 / n, of s is s^2 / (2 n).
    m, s = x.mean(0), x.std(0)
    delta = np.sqrt(((2 * m * s) ** 2 + (2 * (s - 1) * s) ** 2 / 2).sum() / len(x))
    assert 0.5 < error / delta < 2


def test_the_fewest_samples_in_the_largest_groups():
    """Without one of two groups a covariance is left; of 3 samples it would not be."""
    real = np.random.default_rng(0).normal(0.5, 0.1, (120, 4))
    metric = FID(groups=2)
    assert metric.fewest == 4
    found = metric.judge(Drawn(real[:4]), Reference(*moments(real)), 0, None)["fid"]
    assert 0 < found["standard_error"] < 10
    assert found["groups"] == 2


def test_bad_options_are_named():
    with pytest.raises(ValueError, match="groups=1 must be at least 2"):
        FID(groups=1)
