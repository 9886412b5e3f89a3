"""The study of solvers on exact denoisers: what it computes, and that its results are these."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tables as oracles
from program import ROOT
from threadpoolctl import threadpool_limits

from experiments.exact_solvers import tables
from experiments.exact_solvers.__main__ import written
from experiments.exact_solvers.flows import bumps, digits
from experiments.exact_solvers.measure import NUMBERS, PROCESSES, SAME, SOLVERS, of_process, order
from score_sde import analytic, samplers
from score_sde.samplers.points import Points

pytestmark = pytest.mark.slow

RESULTS = ROOT / "experiments" / "exact_solvers" / "results"
# Errors by number of evaluations, ../shared/ORACLES.md and golden/modern/README.md.
STATED = {
    ("VP", "log_snr"): {
        "ddim": {20: 7.29e-2, 40: 3.70e-2, 80: 1.86e-2, 160: 9.36e-3},
        "dpmpp_2m": {20: 1.36e-2, 40: 3.21e-3, 80: 7.76e-4, 160: 1.91e-4},
        "dpmpp_2m, heun": {20: 2.19e-2},
        "dpmpp_3m, published": {20: 3.72e-3, 40: 7.32e-4, 80: 2.05e-4, 160: 5.37e-5},
        "dpmpp_3m": {20: 8.60e-3, 40: 1.11e-3, 80: 9.97e-5, 160: 9.24e-6},
        "unipc 1": {20: 2.28e-2},
        "unipc 2": {20: 4.72e-3, 40: 6.10e-4, 80: 7.68e-5, 160: 9.61e-6},
        "unipc 3": {20: 7.71e-3, 40: 1.72e-4, 80: 1.75e-5, 160: 1.97e-6},
        "unipc 4": {20: 1.22e-2},
        "deis 3": {20: 7.45e-3, 40: 9.07e-4, 80: 7.68e-5, 160: 5.68e-6},
        "deis 1, log_rho": {20: 1.10e-2},
        "deis 2, log_rho": {20: 4.27e-3},
    },
    ("EDM", "karras"): {
        "ddim": {10: 1.65e-1, 20: 8.66e-2, 40: 4.45e-2, 80: 2.26e-2},
        "heun": {20: 1.46e-1, 40: 2.97e-2, 80: 6.77e-3, 160: 1.62e-3},
        "dpmpp_2m": {20: 3.63e-2, 40: 7.81e-3, 80: 1.80e-3, 160: 4.34e-4},
        "ipndm 2": {20: 9.06e-3},
        "ipndm 3": {20: 6.65e-3},
        "ipndm 4": {20: 9.41e-3},
        "lms 3": {20: 2.52e-2},
        "lms 4": {20: 1.96e-2},
    },
}
NOT_MEASURED = {
    "restart": "it adds noise",
    "predictor_corrector": "it is no table",
    "rk45": "it chooses its steps",
    "jump": "it is of flow maps",
    "improved_ddpm": "it is ddim with noise that a model has learnt",
    **dict.fromkeys(samplers.TOKENS, "it is of tokens"),
}


@pytest.fixture(scope="module")
def committed():
    return {curve[:4]: curve for curve in tables.read(RESULTS)}


@pytest.mark.parametrize("place", STATED, ids=" ".join)
def test_the_results_are_the_oracles(committed, place):
    """Within 1 %: what is stated has three digits."""
    for solver, errors in STATED[place].items():
        curve = committed["bumps", *place, solver]
        found = [curve.errors[n] for n in errors]
        np.testing.assert_allclose(found, list(errors.values()), rtol=0.01, err_msg=solver)


def test_all_is_there(committed):
    """Each solver on each grid that a process can have; nothing is missing or not finite."""
    assert len(committed) == 2 * len(SOLVERS) * (5 * len(PROCESSES) + 1)  # linspace: DDPM alone
    assert all(curve.errors.keys() == {*NUMBERS} for curve in committed.values())
    assert all(np.isfinite(list(curve.errors.values())).all() for curve in committed.values())
    named = {name for name, _ in SOLVERS.values()} | {name for (name, _), _ in SAME.values()}
    assert named | NOT_MEASURED.keys() == samplers.SAMPLERS.keys()


def test_the_results_are_of_this_code(committed):
    """Measured again: two curves of the digits, whose ends are solved again too."""
    numbers = (8, 14, 20)
    with threadpool_limits(1):
        again = of_process("VP", [digits()], ("dpmpp_2m", "plms 4"), ("karras",), numbers)
    for curve in again:
        there = committed[curve[:4]]
        stated = [there.errors[n] for n in numbers]
        np.testing.assert_allclose(list(curve.errors.values()), stated, rtol=0.01)
        assert [there.elsewhere[n] for n in numbers] == list(curve.elsewhere.values())


def test_the_denoiser_of_the_digits(x64):
    """That of score_sde.analytic; the ends of the two bumps say that theirs is exact."""
    sde, data = PROCESSES["cosine VP"], digits(3)
    data = dataclasses.replace(data, means=data.means[:40])
    compiled = jax.jit(analytic.empirical(sde, data.means))
    for t in (0.9, 0.5, 0.1):
        point = Points.at(sde, t)
        x = point.alpha * data.means[:1] + point.sigma * data.start
        stated = compiled(jnp.asarray(x), jnp.full(len(x), t)).x0
        found = data.denoised(x / point.alpha, point.ratio)
        np.testing.assert_allclose(found, stated, rtol=1e-9, atol=1e-12)


def test_the_ends_of_two_bumps():
    for sde, stated in oracles.ENDS.items():
        np.testing.assert_allclose(bumps().ends(sde)[:, 0], stated, atol=1e-8)


def test_the_digits_are_the_training_images():
    data = digits()
    assert data.means.shape == (1297, 64)
    assert data.means.min() == -1
    assert data.means.max() == 1


@pytest.mark.parametrize("other", SAME)
def test_the_same_tables(other):
    """What is not measured twice is the same to rounding."""
    (name, options), first = SAME[other]
    for process, grid in (("VP", "log_snr"), ("EDM", "karras")):
        made = {"steps": 9, "grid": grid, "denoise_final": "none", "lower_order_final": False}
        sde, data = PROCESSES[process], bumps()
        ends = [
            data.walk(samplers.get(name, **made, **options).table(sde), sde)
            for name, options in ((name, options), SOLVERS[first])
        ]
        np.testing.assert_allclose(*ends, rtol=1e-9)


def test_the_order():
    """Of the last three points above the floor; none of fewer."""
    errors = {10: 1.0, 20: 8e-4, 40: 1e-4, 80: 1.25e-5, 160: 1e-13}
    assert order(errors) == pytest.approx(3)
    assert np.isnan(order({80: 1e-3, 160: 1e-4}))


def test_in_small(tmp_path, capsys):
    """The program: what it writes is read again; a grid that a process cannot have is in no row."""
    few = digits(2)
    data = (bumps(), dataclasses.replace(few, means=few.means[:30]))
    options = {"solvers": ("dpmpp_2m", "heun", "plms 4"), "grids": ("log_snr", "linspace")}
    written(tmp_path, data, ("DDPM", "rectified flow"), numbers=(4, 10), **options)
    assert "DDPM: 12 curves after" in capsys.readouterr().out
    found = {curve[:4]: curve for curve in tables.read(tmp_path)}
    for curve in of_process("DDPM", data, numbers=(4, 10), **options):
        assert found[curve[:4]].errors == pytest.approx(curve.errors, rel=1e-3)
        assert found[curve[:4]].elsewhere == curve.elsewhere
    assert len(found) == 2 * 3 * (2 + 1)
    text = (tmp_path / "table.md").read_text()
    assert "| solver | log_snr | linspace |" in text
    assert "| solver | log_snr |\n" in text
    pictures = sorted(path.name for path in tmp_path.glob("*.png"))
    assert pictures == [f"{d}_{of}.png" for d in ("bumps", "digits") for of in ("grids", "solvers")]
