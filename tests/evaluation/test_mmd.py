"""The Gaussian MMD against its formula, written out."""

import math

import numpy as np
import pytest

from score_sde.evaluation import mmd


def written_out(x, y, bandwidth):
    """Gretton et al. 2012, equation 3, pair by pair."""

    def kernel(a, b):
        return math.exp(-math.fsum((a - b) ** 2) / (2 * bandwidth**2))

    def mean(pairs):
        found = [kernel(a, b) for a, b in pairs]
        return math.fsum(found) / len(found)

    def others(a):
        return [(a[i], a[j]) for i in range(len(a)) for j in range(len(a)) if i != j]

    return mean(others(x)) + mean(others(y)) - 2 * mean([(a, b) for a in x for b in y])


@pytest.mark.parametrize("bandwidth", [0.7, 10.0])
def test_mmd_is_the_formula(bandwidth, monkeypatch):
    """To rounding, whatever is in memory together."""
    draw = np.random.default_rng(0).normal
    x, y = draw(size=(7, 5)), 0.3 + draw(size=(4, 5))
    whole = mmd.gaussian_mmd2(x, y, bandwidth)
    assert whole == pytest.approx(written_out(x, y, bandwidth), rel=1e-11)
    monkeypatch.setattr(mmd, "_ROWS", 3)
    assert mmd.gaussian_mmd2(x, y, bandwidth) == pytest.approx(whole, rel=1e-12)


def test_two_points_and_two():
    """x = (0, a), y = (0, a): exp(-a^2 / 2 b^2) twice, less 1 + it: k - 1, below 0."""
    x = np.array([[0.0], [3.0]])
    assert mmd.gaussian_mmd2(x, x, 2.0) == pytest.approx(math.exp(-9 / 8) - 1, rel=1e-14)
