"""KID: the estimator by hand, no bias, and its value for Gaussians in closed form."""

import json

import numpy as np
import pytest

from score_sde.evaluation.metrics.kid import KID, kernel_distance, mmd2
from score_sde.evaluation.moments import moments
from score_sde.evaluation.reference import Reference
from score_sde.evaluation.samples import Drawn


def test_mmd_by_hand(x64):
    """k(a, b) = (a b + 1)^3 for d = 1: pairs (0, 1) and (2, 3)."""
    x, y = np.array([[0.0], [1.0]]), np.array([[2.0], [3.0]])
    expected = 1 + 7**3 - 2 * np.mean([1, 1, 3**3, 4**3])
    np.testing.assert_allclose(mmd2(x, y), expected, rtol=1e-12)


def test_mmd_is_unbiased(x64):
    """The mean over 400 draws of sets of 5 from one distribution: 0 within 3 standard errors."""
    x, y = np.random.default_rng(0).normal(size=(2, 400, 5, 3))
    values = np.array([mmd2(a, b) for a, b in zip(x, y, strict=True)])
    error = values.std() / np.sqrt(len(values))
    assert abs(values.mean()) < 3 * error
    # A biased estimator, with an example's kernel with itself, would be seen.
    diagonal = 2 * ((x**2).sum(-1) / 3 + 1).__pow__(3).mean() / 5
    assert diagonal > 6 * error


def test_mmd_of_shifted_gaussians(x64):
    """For d = 1, k = sum_j binom(3, j) (x y)^j, so MMD^2 = sum_j binom(3, j) (E x^j - E y^j)^2.

    The moments of N(m, 1) are m, m^2 + 1 and m^3 + 3 m; 3 standard errors of 300 sets.
    """
    m = 0.5
    expected = 3 * m**2 + 3 * m**4 + (m**3 + 3 * m) ** 2
    x, y = np.random.default_rng(1).normal(size=(2, 300, 20, 1))
    values = np.array([mmd2(a, b + m) for a, b in zip(x, y, strict=True)])
    assert abs(values.mean() - expected) < 3 * values.std() / np.sqrt(len(values))


def test_subsets_and_their_standard_error():
    """KID of 40 pairs of sets: the stated error is the spread, within 35% (3 errors are 34%)."""
    x, y = np.random.default_rng(2).normal(size=(2, 40, 400, 2)).astype(np.float32)
    found = [kernel_distance(a, b + 0.3, subsets=20, size=50) for a, b in zip(x, y, strict=True)]
    spread = np.std([f.mean for f in found], ddof=1)
    stated = np.sqrt(np.mean([f.standard_error**2 for f in found]))
    np.testing.assert_allclose(stated, spread, rtol=0.35)
    again = kernel_distance(x[0], y[0] + 0.3, subsets=20, size=50)
    assert again == found[0]  # the subsets are a function of the seed
    assert kernel_distance(x[0], y[0] + 0.3, subsets=20, size=50, seed=1).mean != again.mean


def test_a_subset_is_at_most_a_set():
    x = np.random.default_rng(3).normal(size=(8, 2)).astype(np.float32)
    found = kernel_distance(x, x[:6] + 1, subsets=3)
    assert found.size == 6
    assert np.isnan(found.standard_error)


@pytest.mark.parametrize("shift", [0.0, 1.0])
def test_float32_is_enough(shift):
    """Kernels near 8 summed over a million pairs: within 1e-5 of float64."""
    x, y = np.random.default_rng(4).normal(size=(2, 1000, 64)) + 1
    expected = []
    for a, b, same in ((x, x, True), (y + shift, y + shift, True), (x, y + shift, False)):
        kernel = (a @ b.T / 64 + 1) ** 3
        expected.append(
            (kernel.sum() - np.trace(kernel)) / (1000 * 999) if same else -2 * kernel.mean()
        )
    found = mmd2(x.astype(np.float32), (y + shift).astype(np.float32))
    np.testing.assert_allclose(found, sum(expected), atol=1e-5, rtol=1e-5)


def test_the_entry():
    """A subset is at most half a set; of a single one no error is known, and JSON has no NaN."""
    x = np.random.default_rng(5).normal(size=(60, 2)).astype(np.float32)
    real = Reference(*moments(x), len(x), x)
    found = KID(subsets=1).judge(Drawn(x[:40] + 1), real, 3, None)["kid"]
    assert found["standard_error"] is found["std_over_subsets"] is None
    assert (found["subset_size"], found["subset_seed"], found["subsets"]) == (20, 3, 1)
    json.dumps(found, allow_nan=False)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"size": 1}, "size=1 must be at least 2"), ({"subsets": 0}, "subsets=0 must be at least 1")],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        KID(**options)
