"""The Fréchet distance against closed forms."""

import numpy as np

from score_sde.evaluation.frechet import frechet_distance, moments


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
    np.testing.assert_allclose(frechet_distance(zero, cov_1, zero, cov_1), 0, atol=1e-6)


def test_moments():
    mean, cov = moments(np.array([[0, 0], [2, 4]], np.float32))
    np.testing.assert_allclose(mean, [1, 2])
    np.testing.assert_allclose(cov, [[2, 4], [4, 8]])
    assert cov.dtype == np.float64
