"""Distances of sets of points and what is made of them: by hand, and of equal distributions."""

import itertools

import numpy as np
import pytest
from made_subject import made_source, subject_of

from score_sde import fields
from score_sde.evaluation.metrics import point_sets
from score_sde.evaluation.metrics.point_sets import PointSets, chamfer, earth_movers, quality
from score_sde.processes import VP
from score_sde.spaces import Points

FIELD = fields.points(6, 3)


def sets(n, seed=0, shift=0.0):
    """Balls and rods, each as likely, of 6 points."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 6, 3))
    x[rng.random(n) < 0.5] *= [0.1, 0.1, 2.0]
    return (x + shift).astype(np.float32)


def test_chamfer_and_earth_movers_by_hand(monkeypatch):
    """Against all pairs, and all permutations; rows of zeros are no points of the first."""
    x, y = sets(2, 1), sets(3, 2)
    square = ((x[:, None, :, None].astype(float) - y[None, :, None]) ** 2).sum(-1)
    expected = square.min(3).mean(2) + square.min(2).mean(2)
    np.testing.assert_allclose(chamfer(x, y), expected, rtol=1e-5)
    monkeypatch.setattr(point_sets, "_AT_ONCE", 1)
    np.testing.assert_allclose(chamfer(x, y), expected, rtol=1e-5)
    orders = np.array(list(itertools.permutations(range(6))))
    costs = np.sqrt(square)[:, :, np.arange(6), orders].mean(-1)
    np.testing.assert_allclose(earth_movers(x, y), costs.min(-1), rtol=1e-6)
    padded = np.concatenate([x, np.zeros_like(x)], axis=1)
    np.testing.assert_allclose(chamfer(padded, y), expected, rtol=1e-5)
    np.testing.assert_allclose(chamfer(y, padded), expected.T, rtol=1e-5)


def test_quality_by_hand():
    """Of numbers on a line as sets of one point, whose neighbours one can see."""

    def distances(x, y):
        return np.abs(x[:, None, 0, 0] - y[None, :, 0, 0])

    ours, theirs = (np.array(p, float)[:, None, None] for p in ([0, 1, 10], [0.4, 5, 10.1]))
    found = quality(distances, ours, theirs)
    # 0 and 1: theirs at .4 is nearer than each other. 10: theirs. .4: ours. 5: ours at 1 is nearer
    # (4) than theirs at .4 (4.6). 10.1: ours. So no vote is right.
    assert found.nna[0] == 0
    assert found.coverage[0] == 2 / 3
    np.testing.assert_allclose(found.mmd[0], np.mean([0.4, 4, 0.1]))
    # 30 is nearer to 10.1 than to 10; of theirs each is nearer to one of ours.
    other = quality(distances, np.array([30, 10, 0.5])[:, None, None], theirs)
    assert other.nna[0] == 0
    far = quality(distances, ours + 100, theirs)
    assert far.nna == (1, 0)
    np.testing.assert_allclose(far.coverage[0], 1 / 3)


def test_of_one_distribution_and_of_another():
    """1-NNA of the same is about one half, to 4 of its errors; of others it is near 1."""
    found = quality(chamfer, sets(150, 3), sets(150, 4))
    assert abs(found.nna[0] - 0.5) < 4 * found.nna[1]
    other = quality(chamfer, sets(150, 3), sets(150, 4, shift=3.0))
    assert other.nna[0] > 0.95
    assert other.mmd[0] > 5 * found.mmd[0]


def subject(tmp_path, held_out=None, **changes):
    """Samples of the same distribution; the training data are among them."""
    held_out, train = held_out or made_source({"points": sets(12, 5)}, [FIELD]), sets(20, 6)

    def draw(batch_size, number, first, on_progress):
        for start in range(first, number, batch_size):
            yield train[start : min(start + batch_size, number)] + 1.0, 7

    source = made_source({"points": train}, [FIELD], split="train")
    space = Points.of(FIELD).fitted(source, "points")
    given = {"draw": draw, "training": lambda: source, **changes}
    return subject_of(tmp_path, VP(), None, space, held_out, **given)[0]


def test_entries(tmp_path):
    """Each with an error, what training sets give, and where samples were drawn from."""
    found = PointSets(earth_movers=4).prepare(subject(tmp_path))()
    names = {"nna", "coverage", "mmd"}
    nearest = {"nearest_training", "nearest_training_held_out"}
    assert set(found) == names | {f"{name}_emd" for name in names} | nearest
    # The first of the training data moved, which is nothing about their centres.
    assert found["nearest_training"]["value"] < 1e-5
    assert found["nearest_training_held_out"]["value"] > 0.01
    assert {found[name]["sets"] for name in names} == {12}
    assert found["nna_emd"]["sets"] == 4
    for name in names:
        assert found[name]["of_training_sets"]["value"] >= 0
        assert found[name]["protocol"]["sampling_seed"] == 0
    assert found["mmd"]["nfe"] == 7
    fewer = PointSets(earth_movers=0).prepare(subject(tmp_path))()
    assert set(fewer) == names | nearest


def test_refusals(tmp_path):
    vectors = made_source({"points": np.zeros((3, 2), np.float32)}, [fields.vector(2, "points")])
    with pytest.raises(ValueError, match="of sets of points, and the model draws vectors"):
        PointSets().prepare(subject(tmp_path, vectors))
    with pytest.raises(ValueError, match="two held-out sets"):
        PointSets().prepare(subject(tmp_path, number=1))
