"""Tuning times and factors: its gradient, what it gains, and what it refuses."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import score_sde
from score_sde import analytic, samplers
from score_sde.samplers import tuning

pytestmark = pytest.mark.slow

VP, STEPS = score_sde.VP(), 5
DENOISE = analytic.gaussian_mixture(VP, np.array([[-1.0], [1.0]]), np.full(2, 0.25), np.ones(2))
SOLVER = samplers.get("dpmpp_2m", steps=STEPS)


@pytest.fixture(scope="module")
def losses():
    """On two sets of noise, in float64."""
    with jax.enable_x64(True):
        accurate = samplers.get("rk45", rtol=1e-8, atol=1e-8, denoise_final="tweedie")
        solve = jax.jit(lambda x: accurate(jax.random.key(0), DENOISE, VP, x_init=x).x)
        found = []
        for seed in range(2):
            x = VP.prior_sample(jax.random.key(seed), (64, 1), jnp.float64)
            batches = [(half, solve(half), None) for half in (x[:32], x[32:])]
            found.append(tuning.loss(DENOISE, SOLVER.table(VP), batches))
        yield found


def value(loss, sampler):
    return float(loss(*tuning._arrays(sampler.table(VP)))[0])


def test_the_gradient(x64, losses):
    """By the table's arrays and central differences of the table: that of the loss."""
    parameters = tuning._Parameters(SOLVER, VP, coefficients=True)
    theta = parameters.of_times(SOLVER.at(VP, STEPS))
    assert len(theta) == STEPS + SOLVER.table(VP).predictions.size
    gradient = parameters.pull_back(theta, losses[0](*tuning._arrays(parameters.table(theta)))[1])
    for i in (0, 2, STEPS - 1, STEPS, STEPS + 6):
        step = np.eye(len(theta))[i] * 1e-5
        ends = [losses[0](*tuning._arrays(parameters.table(theta + s * step)))[0] for s in (1, -1)]
        np.testing.assert_allclose(gradient[i], (ends[0] - ends[1]) / 2e-5, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("final", ["tweedie", "none"])
@pytest.mark.parametrize("steps", [1, 4])
def test_parameters_stand_for_the_times_of_a_grid(final, steps):
    """As many as the solver takes; without a last evaluation they end at t_min."""
    solver = dataclasses.replace(SOLVER, steps=steps, denoise_final=final)
    t, table = tuning._of_grid(solver, VP, "log_snr")
    for coefficients in (False, True):
        parameters = tuning._Parameters(solver, VP, coefficients)
        theta = parameters.of_times(t)
        times, factors = parameters.read(theta)
        assert len(times) == steps + (final == "none")
        assert len(factors) == (table.predictions.size if coefficients else 0)
        np.testing.assert_allclose(times, t, rtol=0.02)
        assert parameters.table(theta).t.shape == table.t.shape
        if final == "none":
            np.testing.assert_allclose(times, t, rtol=1e-9)


def test_what_it_gains(x64, losses):
    """A fifth of the error of the best grid there is by the times, and a tenth with factors."""
    told = []
    times = tuning.tune(SOLVER, VP, *losses, say=lambda *numbers: told.append(numbers))
    both = tuning.tune(SOLVER, VP, *losses, coefficients=True)
    best = min(times.untuned.values())
    assert times.error < best / 5
    assert both.error < best / 10
    for found in (times, both):
        tuned = dataclasses.replace(SOLVER, times=found.times, factors=found.factors)
        assert np.sqrt(value(losses[1], tuned)) == pytest.approx(found.error, rel=1e-9)
        assert found.times[0] == VP.t_max
        assert found.times[-1] > VP.t_min
        assert (np.diff(found.times) < 0).all()
    log_snr = dataclasses.replace(SOLVER, grid="log_snr")
    assert times.untuned["log_snr"] == pytest.approx(np.sqrt(value(losses[1], log_snr)))
    # The one that is taken is the best on the held-out noise that was met, not the last.
    assert times.error == pytest.approx(min(error for _, _, error in told))
    assert times.factors == ()


def test_what_stops_at_t_min_is_tuned_to_there(x64):
    """Its last time stays t_min, and it makes as many evaluations as before."""
    solver = dataclasses.replace(SOLVER, denoise_final="none")
    accurate = samplers.get("rk45", rtol=1e-8, atol=1e-8)
    found = []
    for seed in range(2):
        x = VP.prior_sample(jax.random.key(seed), (32, 1), jnp.float64)
        end = accurate(jax.random.key(0), DENOISE, VP, x_init=x).x
        found.append(tuning.loss(DENOISE, solver.table(VP), [(x, end, None)]))
    tuned = tuning.tune(solver, VP, *found, iterations=15)
    assert (tuned.times[0], tuned.times[-1]) == (VP.t_max, VP.t_min)
    table = dataclasses.replace(solver, times=tuned.times).table(VP)
    assert len(table.t) == STEPS
    assert np.sqrt(float(found[1](*tuning._arrays(table))[0])) == pytest.approx(tuned.error)
    assert tuned.error < min(tuned.untuned.values()) / 2


def test_it_stops_when_held_out_noise_gets_no_better(x64, losses):
    """A held-out loss that never changes: `patience` iterations, and the first grid."""
    told = []
    still = lambda *arrays: (jnp.ones(()), None)  # noqa: E731
    found = tuning.tune(
        SOLVER, VP, losses[0], still, patience=3, say=lambda *numbers: told.append(numbers)
    )
    assert len(told) == 3
    assert found.error == 1
    np.testing.assert_allclose(found.times, tuning.GRIDS["uniform"](VP, STEPS), rtol=0.02)


@pytest.mark.parametrize(
    ("name", "options", "sde", "message"),
    [
        ("ddim", {"eta": 1.0}, VP, "it adds noise"),
        ("dpmpp_2m", {}, score_sde.RectifiedFlow(t_max=1.0), "ratio of 0: use a smaller t_max"),
    ],
)
def test_what_cannot_be_tuned(name, options, sde, message):
    sampler = samplers.get(name, steps=STEPS, **options)
    with pytest.raises(ValueError, match=message):
        tuning.tune(sampler, sde, lambda *a: (0.0, ()), lambda *a: (0.0, ()))
