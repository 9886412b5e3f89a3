"""experiments/posterior: what its methods are compared with."""

import numpy as np
import pytest

from experiments.posterior import measure


def test_the_posterior_of_the_bumps_by_numbers():
    """Mean and covariance of p(x) N(y; x_1, s^2), summed over a fine grid of the plane."""
    problem = measure.bumps()
    axis = np.linspace(-4, 4, 1601)
    x = np.stack(np.meshgrid(axis, axis, indexing="ij"), -1)
    density = 0.0
    for weight, mean, covariance in zip(*problem[:3], strict=True):
        variance = covariance[0, 0]
        density += weight / variance * np.exp(-np.sum((x - mean) ** 2, -1) / (2 * variance))
    y = np.asarray(problem.measurement.y).ravel()[0]
    density *= np.exp(-((x[..., 0] - y) ** 2) / (2 * measure.NOISE**2))
    density /= density.sum()
    mean = np.einsum("ij,ijd->d", density, x)
    covariance = np.einsum("ij,ijd,ije->de", density, x - mean, x - mean)
    found = measure.moments(*problem.posterior())
    np.testing.assert_allclose(found[0], mean, rtol=1e-6)
    np.testing.assert_allclose(found[1], covariance, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("name", measure.PROBLEMS)
def test_draws_from_the_posterior_have_the_error_of_counting(name):
    """The mean is off by 1 / sqrt(n), 0.008, a coordinate; the covariance by little more."""
    found = measure.measured(measure.PROBLEMS[name](), "exact", 0)
    assert found["mean"] < 3 / np.sqrt(measure.SAMPLES)
    assert found["covariance"] < 0.04
