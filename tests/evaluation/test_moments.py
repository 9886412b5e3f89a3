"""Mean and covariance of a set and of its parts."""

import functools

import numpy as np

from score_sde.evaluation.moments import Moments, moments


def test_moments():
    mean, cov = moments(np.array([[0, 0], [2, 4]], np.float32))
    np.testing.assert_allclose(mean, [1, 2])
    np.testing.assert_allclose(cov, [[2, 4], [4, 8]])
    assert cov.dtype == np.float64


def test_moments_of_parts_are_those_of_the_whole():
    """Also where the mean is large beside the deviation, as sums of squares would not be."""
    x = np.random.default_rng(1).normal(size=(1000, 3)) + 1e6
    parts = [Moments.of(part) for part in np.split(x, [1, 5, 300])]
    found = functools.reduce(Moments.merge, parts)
    assert found.n == 1000
    np.testing.assert_allclose(found.mean, x.mean(0), rtol=1e-14)
    np.testing.assert_allclose(found.covariance, np.cov(x - 1e6, rowvar=False), atol=1e-8)
