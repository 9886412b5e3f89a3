"""Moments and distances of a stream of states are those of the whole, exactly."""

import math

import numpy as np
import pytest
from scipy.spatial.distance import pdist

from score_sde.evaluation import states
from score_sde.evaluation.states import largest_distance, measure


def batches(x, *sizes):
    """x in parts of these sizes, again and again."""
    start, number = 0, 0
    while start < len(x):
        size = sizes[number % len(sizes)]
        yield x[start : start + size]
        start, number = start + size, number + 1


@pytest.mark.parametrize("sizes", [(50,), (7, 1, 20)])
def test_moments_are_those_of_all_numbers_however_they_come(sizes):
    """To 1e-10, far from 0, where the mean of squares loses all but 4 digits of a variance."""
    x = np.random.default_rng(0).standard_normal((50, 4, 3, 2)) * [1.0, 3.0] + [1e6, 1e6 + 5]
    found = measure(batches(x, *sizes), len(x), len(x))
    centred = x - 1e6  # exact
    np.testing.assert_allclose(found.std, centred.std(), rtol=1e-10)
    np.testing.assert_allclose(found.channel_stds, centred.std((0, 1, 2)), rtol=1e-10)
    about = centred - centred.mean(0)
    np.testing.assert_allclose(found.spread, np.sqrt((about**2).mean()), rtol=1e-10)
    np.testing.assert_allclose(found.mean, x.mean(), rtol=1e-14)
    np.testing.assert_allclose(found.channel_means, x.mean((0, 1, 2)), rtol=1e-14)
    assert (found.shape, found.dimension, found.examples) == ((4, 3, 2), 24, 50)


def test_the_mean_square_norm():
    """E |x|^2 of the moments is the mean over examples."""
    x = np.random.default_rng(0).standard_normal((40, 5)) + 2
    found = measure(batches(x, 9), len(x), len(x))
    np.testing.assert_allclose(found.square, (x**2).sum(1).mean(), rtol=1e-12)


def test_the_error_of_std_is_that_of_the_mean_of_squares_about_the_mean():
    """By the delta method, from examples whose means drift, with the part of the whole known."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((60, 6)) + np.arange(60.0)[:, None] / 10
    squares = ((x - x.mean()) ** 2).mean(1)
    expected = squares.std(ddof=1) / math.sqrt(60) * math.sqrt(1 - 60 / 100) / (2 * x.std())
    np.testing.assert_allclose(measure(batches(x, 9), 60, 100).std_error, expected, rtol=1e-12)


def test_the_error_of_std_is_that_over_samples():
    """The scatter of std over 400 samples of 300 of 400 examples, to 5 standard errors of it."""
    rng = np.random.default_rng(0)
    everything = rng.standard_normal((400, 6)) * rng.gamma(2, size=(400, 1)) + 3
    found = [measure([everything[rng.permutation(400)[:300]]], 300, 400) for _ in range(400)]
    scatter = np.std([one.std for one in found])
    said = np.sqrt(np.mean([one.std_error**2 for one in found]))
    assert abs(said / scatter - 1) < 5 / math.sqrt(2 * 400)
    assert measure([everything], 400, 400).std_error == 0


@pytest.mark.parametrize("n", [1, 40, 700])
def test_the_largest_distance_is_that_of_all_pairs(n):
    """In float64, wherever the pair is among the blocks."""
    rng = np.random.default_rng(n)
    for _ in range(3):
        x = rng.standard_normal((n, 3)) + 1e6
        expected = pdist(x).max(initial=0)
        np.testing.assert_allclose(largest_distance(x), expected, rtol=1e-14, atol=0)


def test_distances_are_of_every_kth_example_of_the_stream(monkeypatch):
    """Of 0 to 9 every second, whatever the batches; of large examples fewer."""
    x = np.arange(10.0)[:, None]
    found = measure(batches(x, 3), 10, 10, compared=5)
    assert (found.compared, found.distance) == (5, 8.0)
    monkeypatch.setattr(states, "_NUMBERS", 3)
    found = measure(batches(x, 3), 10, 10)
    assert (found.compared, found.distance) == (3, 8.0)  # 0, 4, 8


@pytest.mark.parametrize(
    ("x", "says"), [(np.zeros((0, 2)), "no examples"), (np.full((3, 2), np.nan), "not finite")]
)
def test_what_cannot_be_measured_is_said(x, says):
    with pytest.raises(ValueError, match=says):
        measure(batches(x, 2), len(x), len(x))
