"""The standard error of a share, against all outcomes of a few coins."""

import math

import pytest

from score_sde.evaluation.shares import share_error


@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
def test_the_spread_of_a_binomial(p):
    n = 7
    chances = [math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1)]
    spread = sum(chance * (k / n - p) ** 2 for k, chance in enumerate(chances))
    assert share_error(p, n) == pytest.approx(math.sqrt(spread), abs=1e-15)
