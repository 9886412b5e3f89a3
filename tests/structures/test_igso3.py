"""IGSO(3): its moments are known in closed form, and variances add."""

import numpy as np
import pytest

from score_sde.structures import igso3

SIZES = (0.1, 0.5, 1.0, 1.5)
NODES, WEIGHTS = np.polynomial.legendre.leggauss(400)
W = (NODES + 1) * np.pi / 2  # on [0, pi]


def mean(function, s):
    """The expectation of a function of the angle, by quadrature to rounding."""
    return float(np.sum(WEIGHTS * np.pi / 2 * function(W) * igso3.density(W, s)))


@pytest.mark.parametrize("s", SIZES)
def test_the_means_of_the_characters(s):
    """E[chi_l] = (2 l + 1) exp(-l (l + 1) s^2 / 2), as E[1 + 2 cos w] = 3 exp(-s^2) of l = 1."""
    assert mean(np.ones_like, s) == pytest.approx(1, abs=1e-12)
    assert mean(lambda w: 1 + 2 * np.cos(w), s) == pytest.approx(3 * np.exp(-(s**2)), abs=1e-12)
    for order in (2, 3, 5):
        found = mean(lambda w, k=order: np.sin((k + 0.5) * w) / np.sin(w / 2), s)
        expected = (2 * order + 1) * np.exp(-order * (order + 1) * s**2 / 2)
        assert found == pytest.approx(expected, abs=1e-11)


@pytest.mark.parametrize(
    ("s", "angle"), [*zip(SIZES, (0.15951, 0.789547, 1.52121, 2.006532), strict=True)]
)
def test_the_mean_angle(s, angle):
    """The numbers of another program, to their last digit."""
    assert mean(lambda w: w, s) == pytest.approx(angle, abs=5e-6 if s in (0.1, 1.0) else 5e-7)


def test_the_limits():
    """Small: Maxwell's distribution of a Gaussian in the tangent space. Large: uniform."""
    s, w = 0.02, np.linspace(1e-3, 0.1, 50)
    gaussian = np.sqrt(2 / np.pi) * w**2 / s**3 * np.exp(-(w**2) / (2 * s**2))
    np.testing.assert_allclose(igso3.density(w, s), gaussian, rtol=0.01)
    np.testing.assert_allclose(igso3.score(w, s), -w / s**2, rtol=0.01)
    np.testing.assert_allclose(igso3.density(W, 8.0), (1 - np.cos(W)) / np.pi, atol=1e-15)
    for bad in (0.0, 0.001, np.inf, np.nan):
        with pytest.raises(ValueError, match="must be finite and at least"):
            igso3.density(W, bad)


@pytest.mark.parametrize("s", SIZES[1:])
def test_the_score_is_the_derivative(s):
    """Of log f = log density - log (1 - cos w), by differences."""
    w, h = np.linspace(0.2, 3.0, 15), 1e-5

    def log_f(w):
        return np.log(igso3.density(w, s) / (1 - np.cos(w)))

    expected = (log_f(w + h) - log_f(w - h)) / (2 * h)
    np.testing.assert_allclose(igso3.score(w, s), expected, rtol=1e-5, atol=1e-6)


def test_the_variances_of_a_product_add():
    """R_1 R_2 of s = 0.6 and 0.8 is of s = 1: E[1 + 2 cos w], and the whole distribution."""
    rng, n = np.random.default_rng(0), 40_000
    first, second = (igso3.rotations(rng, n, s) for s in (0.6, 0.8))
    np.testing.assert_allclose(
        first @ first.swapaxes(1, 2), np.eye(3) + np.zeros((n, 1, 1)), atol=1e-12
    )
    np.testing.assert_allclose(np.linalg.det(first), 1, atol=1e-12)
    found = igso3.angle_of(first @ second)
    traces = 1 + 2 * np.cos(found)
    error = traces.std() / np.sqrt(n)
    assert abs(traces.mean() - 3 * np.exp(-1)) < 4 * error
    grid = np.linspace(0, np.pi, 1001)
    below = np.cumsum(igso3.density((grid[1:] + grid[:-1]) / 2, 1.0)) * np.pi / 1000
    empirical = np.searchsorted(np.sort(found), grid[1:]) / n
    assert np.abs(empirical - below).max() < 1.95 / np.sqrt(n)  # Kolmogorov and Smirnov, 1 in 1,000


def test_the_angle_of_a_rotation():
    """Is the one that it was made with, also near none and half a turn."""
    axes = np.random.default_rng(1).standard_normal((5, 3))
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    angle = np.array([0, 1e-7, 1.0, 3.1415, np.pi])
    np.testing.assert_allclose(igso3.angle_of(igso3.about(axes, angle)), angle, atol=1e-9)
    turned = igso3.about(np.array([[0.0, 0, 1]]), np.array([np.pi / 2]))[0] @ (1, 0, 0)
    np.testing.assert_allclose(turned, (0, 1, 0), atol=1e-15)
