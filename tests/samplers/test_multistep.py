"""Multistep solvers: orders of convergence, exact moments, every process, pure noise."""

import functools
from itertools import pairwise

import jax
import numpy as np
import pytest
from tables import (
    BUMPS,
    PROCESSES,
    START,
    Fitted,
    deis,
    errors,
    exact,
    marginal,
    moment_errors,
    moments,
    moments_of_exponential,
    same,
    unipc,
    walk,
)

from score_sde import samplers
from score_sde.processes import DDPM, EDM, VP, RectifiedFlow
from score_sde.samplers.points import Points

pytestmark = pytest.mark.slow

NUMBERS = (20, 40, 80, 160, 320)
FULL = {"lower_order_final": False}
_3M = ("dpmpp_3m", {"corrected": False})
_SDE = ("dpmpp_2m_sde", {})


# Largest errors by number of steps from 20 on, ../shared/ORACLES.md and golden/modern; None where
# they state none. The order is what the last two show, None where none is stated.
_VP, _EDM = (VP(), "log_snr"), (EDM(), "karras")
ORDERS = [
    (*_VP, "dpmpp_2m", {}, [1.36e-2, 3.21e-3, 7.76e-4, 1.91e-4, 4.73e-5], 2),
    (*_VP, "dpmpp_2m", {"variant": "heun"}, [2.19e-2, None, None, None, 7.11e-5], 2),
    (*_VP, "dpmpp_3m", {}, [8.60e-3, 1.11e-3, 9.97e-5, 9.24e-6, 9.44e-7], 3.3),
    (*_VP, *_3M, [3.72e-3, 7.32e-4, 2.05e-4, 5.37e-5, 1.37e-5], 2),
    (*_VP, "deis", {"order": 3}, [7.45e-3, 9.07e-4, 7.68e-5, 5.68e-6], 3.75),
    (*_VP, *deis(1, "log_rho"), [1.10e-2, None, None, None, 5.92e-5], 2),
    (*_VP, *deis(2, "log_rho"), [4.27e-3, None, None, None, 1.64e-6], 3),
    (*_VP, *unipc(1), [2.28e-2, None, None, None, 9.63e-5], 2),
    (*_VP, *unipc(2), [4.72e-3, 6.10e-4, 7.68e-5, 9.61e-6, 1.20e-6], 3),
    (*_VP, *unipc(3), [7.71e-3, 1.72e-4, 1.75e-5, 1.97e-6, 1.45e-7], None),
    (*_VP, *unipc(3), [None, None, None, 1.97e-6], 3.2),
    (*_VP, *unipc(4), [1.22e-2, None, None, None, 1.15e-8], None),
    (*_VP, "sa_solver", {"tau": 0.0}, [7.71e-3, 1.72e-4, 1.75e-5, 1.97e-6], 3.2),
    (*_EDM, "dpmpp_2m", {}, [3.63e-2, 7.81e-3, 1.80e-3, 4.34e-4], 2),
    (*_EDM, "ipndm", {"order": 2}, [9.06e-3, None, None, None], 2),
    (*_EDM, "ipndm", {"order": 3}, [6.65e-3, None, None, None], 2),
    (*_EDM, "ipndm", {"order": 4}, [9.41e-3, None, None, None], 2),
    (*_EDM, "plms", {}, [9.41e-3, None, None, None], 2),  # iPNDM's, but for its start
    (*_EDM, "lms", {"order": 1}, [8.66e-2, 4.45e-2], 1),
    (*_EDM, "lms", {"order": 2}, [None, None, None, None, None], 2),
    (*_EDM, "lms", {"order": 3}, [2.52e-2, None, None, None, 1.33e-5], 2.9),
    (*_EDM, "lms", {"order": 4}, [1.96e-2, None, None, None, 1.13e-6], 3.8),
    (*_EDM, *deis(2, "rho"), [2.52e-2, None, None, None, 1.33e-5], 2.9),
    (*_EDM, *deis(3, "rho"), [1.96e-2, None, None, None, 1.13e-6], 3.8),
    (Fitted(), "karras", *deis(1, "t"), [3.01e-2, None, None, None], 2),
    (Fitted(), "karras", *deis(2, "t"), [1.71e-2, None, None, None], 2.9),
    (Fitted(), "karras", *deis(3, "t"), [1.29e-2, None, None, None], 3.8),
]


def asked(stated):
    """The numbers of steps for which something is stated, and the last two."""
    last = len(stated) - 2
    return [n for i, n in enumerate(NUMBERS[: len(stated)]) if stated[i] is not None or i >= last]


def agree(found, stated, order):
    """Within 5 % of what is stated, and the order of the last two."""
    known = [stated[NUMBERS.index(number)] for number in asked(stated)]
    for error, expected in zip(found, known, strict=True):
        assert expected is None or error == pytest.approx(expected, rel=0.05)
    assert order is None or np.log2(found[-2] / found[-1]) == pytest.approx(order, abs=0.15)


@pytest.mark.parametrize(("sde", "grid", "name", "options", "stated", "order"), ORDERS)
def test_order(sde, grid, name, options, stated, order):
    solver = samplers.get(name, grid=grid, **FULL | options)
    agree(errors(solver, sde, asked(stated)), stated, order)


# Relative errors of the standard deviation, ../shared/golden/modern.
MOMENTS = [
    (*_EDM, *_SDE, [1.03e-1, 2.62e-2, 6.22e-3, 1.51e-3, 3.72e-4], 2),
    (*_EDM, "dpmpp_2m_sde", {"variant": "heun"}, [2.60e-1, None, None, None, 6.26e-4], 2),
    (*_EDM, "dpmpp_3m_sde", {}, [-3.3e-3, 9.5e-3, 2.7e-3, 7.3e-4, 1.9e-4], 2),
    (*_VP, "dpmpp_3m_sde", {}, [0.039, 0.0074, 0.0017, 4.1e-4, 1.0e-4], 2),
    (*_EDM, "ddim", {"eta": 1.0}, [-0.234, None, None, None, -1.87e-2], 1),
    (*_EDM, "sa_solver", {}, [None] * 5, 2),
    (*_EDM, "sa_solver", {"predictor": 1, "corrector": 0}, [None] * 5, 1),
    (*_EDM, "sa_solver", {"predictor": 2, "corrector": 0}, [None] * 5, 2),
]


@pytest.mark.parametrize(("sde", "grid", "name", "options", "stated", "order"), MOMENTS)
def test_moments(sde, grid, name, options, stated, order):
    """The standard deviation of Gaussian data; their mean is exact from an exact start."""
    solver = samplers.get(name, grid=grid, **FULL | options)
    of_mean, of_std = moment_errors(solver, sde, asked(stated))
    agree(of_std, stated, order)
    np.testing.assert_allclose(of_mean, 0, atol=1e-12)


EVERYWHERE = {"tau_min": 0.0, "tau_max": 1e9}


def test_sa_solver_is_the_stochastic_solver_without_a_corrector():
    """One noise, one frame: tau = 1 with two predictions is dpmpp_2m_sde, variant heun."""
    found = samplers.get("sa_solver", predictor=2, corrector=0, **EVERYWHERE).table(VP())
    other = samplers.get("dpmpp_2m_sde", variant="heun").table(VP())
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-12), found[1:], other[1:])


def test_sa_solver_adds_noise_in_its_interval():
    """0.05 to 1 of sigma / alpha; tau^2 times that of the reverse SDE."""
    sde = EDM()
    table = samplers.get("sa_solver", grid="karras", steps=30, tau=0.5).table(sde)
    points = Points.at(sde, table.t)
    inside = (points.ratio >= 0.05) & (points.ratio <= 1)
    inside[-1] = False  # the final step
    h = np.append(np.diff(points.lam), np.inf)
    expected = np.append(points.sigma[1:], 0) * np.sqrt(1 - np.exp(-2 * 0.25 * h))
    np.testing.assert_allclose(table.noise, np.where(inside, expected, 0), rtol=1e-12)


def test_sa_solver_corrects_with_the_noise_of_its_predictor():
    """x^c of Algorithm 1, from its integrals: the polynomial through the last three and the new."""
    sde, rng = EDM(), np.random.default_rng(0)
    options = {"predictor": 2, "corrector": 3, "tau": 0.8, "steps": 6, **EVERYWHERE}
    solver = samplers.get("sa_solver", grid="karras", denoise_final="none", **FULL | options)
    points = Points.at(sde, solver.at(sde, 7))
    table, noise = solver.of_points(points, sde), rng.normal(size=(6, 6, 1))
    states, data = walk(table, exact(BUMPS, sde), 80 * START, lambda r: noise[r])
    lam, rate, x = points.lam, 1 + 0.8**2, 80 * START
    for i in range(5):  # the state at the end is not corrected
        h, behind = lam[i + 1] - lam[i], list(range(i + 1, max(i - 3, -1), -1))
        x = x * points.sigma[i + 1] / points.sigma[i] * np.exp(-(0.8**2) * h)
        weights = moments_of_exponential(lam[behind], lam[i], lam[i + 1], rate)
        x = x + np.tensordot(weights, data[behind], 1)
        x = x + points.sigma[i + 1] * np.sqrt(1 - np.exp(-2 * 0.8**2 * h)) * noise[i]
        # The next prediction starts from it, with the two newest data.
        h, behind = lam[i + 2] - lam[i + 1], [i + 1, i]
        weights = moments_of_exponential(lam[behind], lam[i + 1], lam[i + 2], rate)
        keep = points.sigma[i + 2] / points.sigma[i + 1] * np.exp(-(0.8**2) * h)
        added = points.sigma[i + 2] * np.sqrt(1 - np.exp(-2 * 0.8**2 * h)) * noise[i + 1]
        same(states[i + 2], keep * x + np.tensordot(weights, data[behind], 1) + added)


DETERMINISTIC = [
    ("dpmpp_2m", {}, 2),
    ("dpmpp_3m", {}, 3),
    ("deis", {"order": 2}, 3),
    ("deis", {"order": 1, "variable": "log_rho"}, 2),
    ("ipndm", {}, 2),
    ("lms", {"order": 3}, 3),
    ("plms", {}, 2),
    ("plms", {"prediction": "v"}, 1),
    ("unipc", {"order": 2}, 3),
    ("unipc", {"order": 2, "prediction": "eps"}, 3),
    ("sa_solver", {"tau": 0.0, "predictor": 2, "corrector": 2}, 3),
]


def flow_error(name, options, sde, steps, **grid):
    """The largest error of the map of Gaussian data, which is known for every process."""
    solver = samplers.get(name, steps=steps, denoise_final="none", **grid, **FULL | options)
    table, last = solver.table(sde), Points.at(sde, sde.t_min)
    (mean, std), (end_mean, end_std) = marginal(Points.at(sde, sde.t_max)), marginal(last)
    mixture = np.ones(1), np.full((1, 1), 0.3), np.full((1, 1, 1), 0.25)
    states, _ = walk(table, exact(mixture, sde), mean + std * START)
    return np.abs(states[-1] - end_mean - end_std * START).max()


@pytest.mark.parametrize("sde", PROCESSES, ids=lambda sde: type(sde).__name__)
@pytest.mark.parametrize(("name", "options", "order"), DETERMINISTIC)
def test_every_process(sde, name, options, order):
    """The exact flow map of a Gaussian, with the order of the method."""
    coarse, fine = (flow_error(name, options, sde, n, grid="log_snr") for n in (25, 100))
    assert np.log2(coarse / fine) > 0.8 * 2 * order


NOISE_ONLY = RectifiedFlow(t_max=1.0)  # alpha = 0 at its first time


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("dpmpp_2m", {}),
        ("dpmpp_3m", {}),
        *[("dpmpp_3m", {"corrected": False}), ("dpmpp_2m", {"variant": "heun"})],
        *[("dpmpp_2m_sde", {}), ("dpmpp_2m_sde", {"eta": 0.0}), ("dpmpp_3m_sde", {})],
        *[unipc(3), unipc(3, "bh1"), ("sa_solver", {}), ("sa_solver", EVERYWHERE)],
    ],
)
def test_from_pure_noise(name, options):
    """From alpha = 0, what is predicted there having no weight after the first step."""
    times = (1.0, *(1 / (1 + np.exp(np.linspace(-5, np.log(999), 60)))))
    mean, std = moments(samplers.get(name, times=times, **options).table(NOISE_ONLY), NOISE_ONLY)
    assert mean[-1] == pytest.approx(0.3, abs=1e-9)
    assert std[-1] == pytest.approx(0.5, rel=0.05)


@pytest.mark.parametrize(
    ("name", "options"),
    [*[(name, {}) for name in ("deis", "ipndm", "lms", "plms")], unipc(3, "bh2", "eps")],
)
def test_eps_says_nothing_of_pure_noise(name, options):
    with pytest.raises(ValueError, match="needs a signal-to-noise ratio above 0"):
        samplers.get(name, grid="uniform", **options).table(NOISE_ONLY)


@pytest.mark.parametrize("final", ["tweedie", "none"])
def test_few_steps_end_with_lower_order_by_default(final):
    """Below 15 steps, as published, the last one of order 1."""
    for steps, lowered in ((14, True), (15, False)):
        options = {"steps": steps, "denoise_final": final}
        default, alike, other = (
            samplers.get("deis", lower_order_final=choice, **options).table(VP()).predictions
            for choice in (None, lowered, not lowered)
        )
        np.testing.assert_array_equal(default, alike)
        assert np.abs(default - other).max() > 1e-3


def test_deis_integrates_over_levels_piece_by_piece():
    """sum_j w_j t_j is the integral of t over rho, which bends at every level of the sequence."""
    sde = DDPM()
    solver = samplers.get("deis", order=1, steps=4, denoise_final="none", **FULL)
    table, points = solver.table(sde), Points.at(sde, solver.at(sde, 5))
    t = np.concatenate([np.linspace(a, b, 129)[:-1] for a, b in pairwise(np.arange(1000) / 999)])
    for i in (2, 3):
        inside = t[(t < points.t[i]) & (t > points.t[i + 1])]
        t_i = np.concatenate([points.t[i + 1 : i + 2], inside, points.t[i : i + 1]])[::-1]
        found = table.predictions[i, :2] / points.alpha[i + 1] @ points.t[[i, i - 1]]
        np.testing.assert_allclose(found, np.trapezoid(t_i, Points.at(sde, t_i).ratio), rtol=1e-6)


def test_plms_evaluates_once_more():
    """21 evaluations for 20 steps, one at an inner stage; of order 1 as many as others."""
    table = samplers.get("plms", steps=20).table(VP())
    assert len(table.t) == 21
    assert table.inner.nonzero()[0].tolist() == [1]
    assert table.t[1] == table.t[2]
    assert len(samplers.get("plms", steps=20, order=1).table(VP()).t) == 20


def test_the_last_evaluation_corrects_too():
    """UniPC-1 in eps ends with E[x_0 | x] at the corrected state."""
    sde = VP()
    solver = samplers.get("unipc", order=1, prediction="eps", steps=5)
    table, denoise = solver.table(sde), exact(BUMPS, sde)
    states, _ = walk(table, denoise, START)
    points = Points.at(sde, table.t)
    newest, older = (denoise(states[i], points.t[i])[1] for i in (4, 3))
    gained = points.sigma[4] * -np.expm1(points.lam[4] - points.lam[3])
    corrected = states[4] + gained * (newest - older) / 2
    same(states[5], (corrected - points.sigma[4] * newest) / points.alpha[4], 1e-12)
