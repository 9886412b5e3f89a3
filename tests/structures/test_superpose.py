"""RMSD after the best motion, beside the factorisation of each matrix and known motions."""

import numpy as np

from score_sde.structures import superpose


def rotation(rng):
    matrix, _ = np.linalg.qr(rng.standard_normal((3, 3)))
    return matrix * np.linalg.det(matrix)


def each(x, y):
    """To each of y alone, [k, m]."""
    return np.stack([superpose.nearest(x, one[None]) for one in y], axis=1)


def test_a_moved_copy_is_at_distance_zero():
    """A mirrored one is not, and noise gives its own size at most."""
    rng = np.random.default_rng(0)
    x = 10 * rng.standard_normal((3, 20, 3))
    moved = np.stack([one @ rotation(rng).T + 50 * rng.standard_normal(3) for one in x])
    found = each(x, np.concatenate([moved, x * (1, 1, -1)]))
    np.testing.assert_allclose(np.diagonal(found), 0, atol=1e-5)  # a root of rounding
    assert found[:, 3:].min() > 3
    assert found[~np.eye(3, 6, dtype=bool)].min() > 3
    near = each(x, moved + 0.1 * rng.standard_normal(moved.shape))
    assert np.all((np.diagonal(near) > 0.05) & (np.diagonal(near) < 0.1 * 3**0.5 * 1.3))


def test_beside_kabsch_by_factorisation():
    """Of sets of points, of flat ones and of lines, whose matrices have no inverse."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal((6, 7, 3))
    x[3, :, 2] = 0
    x[4, :, 1:] = 0
    y = rng.standard_normal((5, 7, 3))
    y[3, :, 2] = 0
    found = each(x, y)
    for i, a in enumerate(x):
        for j, b in enumerate(y):
            best = np.sqrt(np.mean(np.sum((superpose.onto(a, b) - b) ** 2, axis=1)))
            np.testing.assert_allclose(found[i, j], best, atol=1e-4)
            for _ in range(20):
                turned = (a - a.mean(0)) @ rotation(rng).T + b.mean(0)
                assert np.sqrt(np.mean(np.sum((turned - b) ** 2, axis=1))) > best - 1e-9


def test_the_nearest_of_many(monkeypatch):
    """By parts, the last of which are filled up, also by pairs that are compared in full."""
    rng = np.random.default_rng(2)
    x, y = rng.standard_normal((5, 9, 3)), rng.standard_normal((13, 9, 3))
    y[11] = x[3] @ rotation(rng).T
    whole = each(x, y)
    monkeypatch.setattr(superpose, "_ROWS", 2)
    monkeypatch.setattr(superpose, "_COLUMNS", 4)
    found = superpose.nearest(x, y)
    np.testing.assert_allclose(found, whole.min(axis=1), atol=1e-4)
    assert found[3] < 1e-6
    assert superpose.nearest(x[:0], y).shape == (0,)
    assert np.isinf(superpose.nearest(x, y[:0])).all()
