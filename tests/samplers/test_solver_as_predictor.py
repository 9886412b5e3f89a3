"""A solver as the predictor of a predictor-corrector sampler."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sampler_oracles import mixture, z_scores

from score_sde import samplers
from score_sde.processes import EDM, SMLD, VE, VP
from score_sde.samplers.loop import before, run
from score_sde.samplers.solvers import SOLVERS

pytestmark = pytest.mark.slow

KEY = jax.random.key(5)


def predictor_corrector(name, **options):
    return samplers.get("predictor_corrector", predictor=name, grid="log_snr", **options)


@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.parametrize(("final", "own"), [("mean", "tweedie"), ("none", "none")])
def test_the_table_is_the_solvers(name, final, own):
    """With correctors before the first stage of each step."""
    plan = predictor_corrector(name, steps=30, denoise_final=final).plan(VP())
    table = samplers.get(name, steps=30, denoise_final=own).table(VP())
    assert plan.table.predicts == table.predicts
    for part, expected in zip(plan.table[1:], table[1:], strict=True):
        np.testing.assert_array_equal(part, expected)
    np.testing.assert_array_equal(plan.corrects, ~table.inner)


def test_the_corrector_is_of_the_step_that_follows():
    """alpha = 1 - beta(t) (t - s) of VP, s where the step ends: for both stages; 0 for the data."""
    sde = VP()
    for name, final in (("midpoint", "mean"), ("midpoint", "none"), ("dpmpp_2m", "none")):
        sampler = predictor_corrector(name, steps=40, denoise_final=final)
        plan, t = sampler.plan(sde), sampler.at(sde, 40 + (final == "none"))
        s = np.append(t[1:], 0.0) if final == "mean" else t[1:]
        begins = t if final == "mean" else t[:-1]
        np.testing.assert_array_equal(plan.t[plan.corrects], begins)
        expected = 1 - sde.beta(begins) * (begins - s)
        np.testing.assert_allclose(plan.alpha[plan.corrects], expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("name", "grid", "sde"),
    [("dpmpp_sde", "log_snr", VP()), ("restart", "karras", EDM()), ("dpmpp_2m", "leading", SMLD())],
)
def test_without_a_corrector_it_is_the_solver(x64, name, grid, sde):
    """The same start, noise, samples and count; also from a grid that begins below t_max."""
    options = {"grid": grid, "steps": 7}
    both = [
        samplers.get(name, **options),
        samplers.get("predictor_corrector", predictor=name, corrector="none", **options),
    ]
    solved, predicted = (one(KEY, mixture(sde), sde, shape=(4, 2)) for one in both)
    np.testing.assert_allclose(solved.x, predicted.x, rtol=1e-12)
    assert solved.nfe == predicted.nfe


@pytest.mark.parametrize(("order", "first"), [("corrector_first", 2), ("predictor_first", 0)])
def test_evaluations(order, first):
    """Two corrections before each of three steps of two stages, and before the last evaluation."""
    seen = []

    def denoise(x, t, cond=None):
        jax.debug.callback(lambda t: seen.append(float(t[0])), t, ordered=True)
        return mixture(sde)(x, t)

    sde, options = VE(), {"steps": 4, "corrector_steps": 2, "order": order}
    sampler = predictor_corrector("heun", **options)
    out = jax.jit(lambda: sampler(KEY, denoise, sde, shape=(4, 2)))()
    jax.effects_barrier()
    t = sampler.at(sde, 4)
    rows = [t[0], t[1], t[1], t[1], t[1], t[2], t[2], t[2], t[2], t[3], t[3], t[3], t[3]]
    np.testing.assert_allclose(seen, [*[t[0]] * first, *rows], rtol=1e-5)
    assert out.nfe == len(seen)


@pytest.mark.parametrize("name", ["dpmpp_2m", "heun"])
def test_samples_with_correctors(x64, name):
    """4096 samples of the mixture from 30 times; 4 standard errors."""
    sampler = predictor_corrector(name, steps=30, snr=0.05, noise_norm="sqrt_d")
    x = jax.jit(lambda: sampler(KEY, mixture(VE()), VE(), shape=(4096, 2)).x)()
    assert np.abs(z_scores(x)).max() < 4, z_scores(x)


def test_later_stages_weigh_the_corrected_state(x64):
    """A correction before the first row is another start."""
    table = samplers.get("heun", steps=5).table(VP())

    def moved(row, state):
        return state._replace(states=(state.states[0] + (row == 0), *state.states[1:]))

    def end(x, correct):
        rows = len(table.t)
        return run(table, before(table, x), mixture(VP()), None, 0, rows, correct=correct).states[0]

    x = jnp.array([[0.3, -1.0]])
    np.testing.assert_allclose(end(x, moved), end(x + 1, None), rtol=1e-12)
