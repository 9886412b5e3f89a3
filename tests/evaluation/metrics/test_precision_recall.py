"""Precision and recall of sets whose balls are known."""

import numpy as np
import pytest

from score_sde.evaluation.metrics.precision_recall import PrecisionRecall, precision_recall
from score_sde.evaluation.moments import moments
from score_sde.evaluation.reference import Reference
from score_sde.evaluation.samples import Drawn


def line(*points):
    return np.array(points, np.float32)[:, None]


def test_by_hand():
    """k = 1: balls reach to the nearest neighbour."""
    real, samples = line(0, 1, 4), line(1, 1.5, 10)
    # Real points 0, 1, 4 have nearest neighbours at 1, 1, 3; samples 1, 1.5, 10 at .5, .5, 8.5.
    found = precision_recall(samples, real, neighbours=1)
    # Within [-1, 1], [0, 2] or [1, 7]: 1 and 1.5. Within [.5, 1.5], [1, 2] or [1.5, 18.5]: 1 and 4.
    np.testing.assert_allclose([found.precision, found.recall], [2 / 3, 2 / 3], rtol=1e-6)
    np.testing.assert_allclose(found.precision_error, np.sqrt(2 / 27), rtol=1e-6)


def test_the_second_neighbour():
    """k = 2 makes the balls of 0, 1, 4 as large as 4, 3, 4."""
    far = line(8.5, 9, 30)
    # They reach to 8: past 7.4 and 7.9, not to 8.5.
    assert precision_recall(far, line(0, 1, 4), neighbours=2).precision == 0
    assert precision_recall(far - 1.1, line(0, 1, 4), neighbours=2).precision == pytest.approx(
        2 / 3
    )


@pytest.mark.parametrize("block", [3, 64, 1024])
def test_blocks_give_what_brute_force_gives(block):
    rng = np.random.default_rng(0)
    real, samples = rng.normal(size=(50, 4)), rng.normal(size=(41, 4)) * 1.3 + 0.4

    def covered(points, centres):
        def distance(a, b):
            return np.linalg.norm(a[:, None] - b[None], axis=-1)

        radii = np.sort(distance(centres, centres), axis=1)[:, 3]
        return (distance(points, centres) <= radii).any(1).mean()

    found = precision_recall(samples.astype(np.float32), real.astype(np.float32), block=block)
    np.testing.assert_allclose(found.precision, covered(samples, real), rtol=1e-6)
    np.testing.assert_allclose(found.recall, covered(real, samples), rtol=1e-6)


def test_a_set_is_itself_and_not_another():
    """Far from the origin, where products of float32 would round distances away."""
    x = np.random.default_rng(1).normal(size=(40, 8)).astype(np.float32) + 1000
    same, other = precision_recall(x, x), precision_recall(x + 50, x)
    assert (same.precision, same.recall) == (1, 1)
    assert (other.precision, other.recall) == (0, 0)


def test_one_mode_of_two_has_precision_without_recall():
    rng = np.random.default_rng(2)
    real = rng.normal(size=(200, 2)) + np.repeat([[-50, 0], [50, 0]], 100, axis=0)
    found = precision_recall(
        rng.normal(size=(200, 2)).astype(np.float32) + np.float32([50, 0]), real.astype(np.float32)
    )
    assert found.precision > 0.9
    assert 0.4 < found.recall <= 0.5


def test_too_few():
    with pytest.raises(ValueError, match="too few for 3 neighbours"):
        precision_recall(line(0, 1, 2), line(0, 1, 2, 3))


def test_neighbours_are_of_all_kinds_of_real_examples():
    """Sets are often sorted: half of them would otherwise have no neighbour among the samples."""
    real = np.random.default_rng(0).normal(0.5, 0.1, (120, 4)).astype(np.float32)
    real = np.concatenate([real[:60], real[60:] + 100])
    metric = PrecisionRecall()
    found = metric.judge(Drawn(real[::2]), Reference(*moments(real), 120, real), 0, None)
    assert found["precision"]["real"] == 60
    assert found["precision"]["value"] > 0.8
    assert found["recall"]["value"] > 0.8
    assert (metric.FEATURES, metric.fewest) == (True, 4)
    with pytest.raises(ValueError, match="neighbours=0 must be at least 1"):
        PrecisionRecall(neighbours=0)
