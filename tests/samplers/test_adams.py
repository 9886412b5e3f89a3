"""Integrals of polynomials: the weights of multistep steps."""

import numpy as np
import pytest
from tables import PROCESSES, moments_of_exponential

from score_sde import samplers
from score_sde.samplers import adams
from score_sde.samplers.deis import in_lambda
from score_sde.samplers.points import Points


@pytest.mark.parametrize("rate", [-1.0, 1.0, 2.5])
def test_exponential_weights(rate):
    """Against closed forms, on short and long steps."""
    for h in (0.5, 2.0, 9.0):
        nodes = h * np.array([0.0, -0.7, -1.5, 1.0])
        found = adams.exponential(nodes, 0.0, h, rate)
        np.testing.assert_allclose(found, moments_of_exponential(nodes, 0.0, h, rate), rtol=1e-9)


@pytest.mark.parametrize("sde", PROCESSES, ids=lambda sde: type(sde).__name__)
@pytest.mark.parametrize("steps", [4, 25])
def test_deis_coefficients(sde, steps):
    """tAB to 1e-12, against int L d rho = [L rho] - int L' rho dt by another quadrature."""
    points = Points.at(sde, samplers.get("deis", grid="karras").at(sde, steps))
    for i in range(3, steps - 1):
        first, last = points.t[i : i + 2]
        levels = np.linspace(0, 1, sde.scales) if sde.scales else []
        even = np.linspace(points.lam[i], points.lam[i + 1], 40)[1:-1]
        cuts = np.union1d(sde.time_at_log_snr(2 * even), [first, last, *levels])
        u, w = adams.gauss(cuts[(cuts >= last) & (cuts <= first)][::-1])
        ratio, expected = Points.at(sde, u).ratio, []
        nodes, u = (
            (points.t[i - 3 : i + 1][::-1] - first) / (last - first),
            (u - first) / (last - first),
        )
        for j in range(4):
            others = np.delete(nodes, j)
            one = np.poly1d(others, True) / np.prod(nodes[j] - others)
            ends = one([0.0, 1.0]) * points.ratio[i : i + 2]
            inner = (w * one.deriv()(u) * ratio).sum() / (last - first)
            expected.append(ends[1] - ends[0] - inner)
        found = in_lambda(points, sde, i, 4, "t")
        scale = np.abs(expected).max()
        np.testing.assert_allclose(found / scale, np.array(expected) / scale, atol=1e-12)
