"""The Inception Score where it is known."""

import numpy as np
import pytest

from score_sde.evaluation.metrics.inception_score import InceptionScore, inception_score
from score_sde.evaluation.moments import moments
from score_sde.evaluation.reference import Reference
from score_sde.evaluation.samples import Drawn


def test_certain_and_even_classes_give_their_number():
    """Every split has each of 8 classes equally often, with certainty: exp(log 8)."""
    logits = 1e3 * np.tile(np.eye(8, dtype=np.float32), (20, 1))
    found = inception_score(logits, splits=10)
    np.testing.assert_allclose(found.mean, 8, rtol=1e-12)
    np.testing.assert_allclose([found.std, found.standard_error], 0, atol=1e-12)


def test_images_that_say_nothing_give_one():
    np.testing.assert_allclose(inception_score(np.full((30, 1008), 7.0)).mean, 1, rtol=1e-12)
    np.testing.assert_allclose(inception_score(np.tile(np.arange(5.0), (30, 1))).mean, 1)


def test_two_images_by_hand():
    """p = (3/4, 1/4) and (1/4, 3/4): the score is exp(3/4 log 3/2 + 1/4 log 1/2)."""
    logits = np.log([[3.0, 1.0], [1.0, 3.0]])
    expected = np.exp(0.75 * np.log(1.5) + 0.25 * np.log(0.5))
    np.testing.assert_allclose(inception_score(logits, splits=1).mean, expected, rtol=1e-12)


def test_splits_are_of_successive_images():
    """The first half has one class, the second two: scores 1 and 2."""
    classes = np.array([0] * 4 + [0, 1, 0, 1])
    found = inception_score(1e3 * np.eye(3)[classes], splits=2)
    np.testing.assert_allclose([found.mean, found.std], [1.5, 0.5], rtol=1e-12)
    np.testing.assert_allclose(found.standard_error, 0.5, rtol=1e-12)  # sqrt(1/2) / sqrt(2)


def test_too_few_images():
    with pytest.raises(ValueError, match="3 samples cannot be divided into 10 splits"):
        inception_score(np.zeros((3, 5)))


def test_the_entry():
    """Two classes that are certain and even would give 2."""
    logits = (np.random.default_rng(0).normal(size=(90, 2)) * 1e4).astype(np.float32)
    features = np.zeros((90, 3))
    metric = InceptionScore(splits=2)
    found = metric.judge(Drawn(features, logits), Reference(*moments(features)), 0, None)
    assert 1.8 < found["inception_score"]["value"] < 2
    assert found["inception_score"]["classes"] == 2
    assert (metric.LOGITS, metric.fewest) == (True, 2)
    with pytest.raises(ValueError, match="splits=0 must be at least 1"):
        InceptionScore(splits=0)
