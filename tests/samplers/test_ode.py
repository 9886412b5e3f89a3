"""The probability-flow ODE against its known endpoints, and the evaluations that it reports."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from one_program import any_of
from sampler_oracles import Counted, gaussian_flow, mixture, z_scores

import score_sde
from score_sde import analytic, samplers
from score_sde.processes import CONTINUOUS

pytestmark = pytest.mark.slow

KEY = jax.random.key(5)
START = jnp.array([[-2.0], [-1.0], [-0.3], [0.4], [1.3], [2.2]])
TIGHT = {"rtol": 1e-11, "atol": 1e-11}
PROCESSES = tuple(make() for make in CONTINUOUS.values())
each_sde = pytest.mark.parametrize("sde", PROCESSES, ids=list(CONTINUOUS))


def two_bumps(sde):
    return analytic.gaussian_mixture(sde, np.array([[-1.0], [1.0]]), np.full(2, 0.25), np.ones(2))


def gaussian(sde):
    return analytic.gaussian(sde, np.array([0.3]), 0.5)


@functools.partial(jax.jit, static_argnames=("data", "sampler", "shape"))
def run(data, sampler, sde, x_init, shape):
    return sampler(KEY, data(sde), sde, x_init=x_init, shape=shape)


def sample(data, sde, x_init=None, shape=None, **options):
    """In one program for all processes; data is what makes the denoiser of a process."""
    return run(data, samplers.get("rk45", **options), any_of(sde, PROCESSES), x_init, shape)


@pytest.mark.parametrize(
    ("sde", "scale", "end"),
    [
        (
            score_sde.VP(),
            1,
            [-1.42282838, -1.11885071, -0.81984546, 0.87647784, 1.21629836, 1.47885107],
        ),
        (
            score_sde.EDM(),
            80,
            [-1.42250251, -1.11878383, -0.82002782, 0.87661352, 1.21614893, 1.47847707],
        ),
    ],
    ids=["VP", "EDM"],
)
def test_endpoints_of_the_mixture(x64, sde, scale, end):
    """DOP853 at rtol 1e-13, to the 8 digits that it was noted with."""
    x_init = START.astype(float) * scale
    out = sample(two_bumps, sde, x_init, **TIGHT)
    np.testing.assert_allclose(out.x[:, 0], end, atol=1e-8)


@each_sde
def test_gaussian_in_closed_form(x64, sde):
    x_init = sde.prior_std * START.astype(float)
    out = sample(gaussian, sde, x_init, **TIGHT)
    np.testing.assert_allclose(out.x, gaussian_flow(sde, x_init, 0.3, 0.5), rtol=1e-8)


@pytest.mark.parametrize("sde", [score_sde.VP(), score_sde.EDM()])
def test_float32_at_the_default_tolerance(sde):
    """It ends, in float32, within 1e-3 of the closed form and in fewer than 300 evaluations."""
    x_init = sde.prior_std * START
    out = sample(gaussian, sde, x_init)
    assert out.x.dtype == jnp.float32
    np.testing.assert_allclose(out.x, gaussian_flow(sde, x_init, 0.3, 0.5), atol=1e-3)
    assert out.nfe < 300


def test_float32_with_the_rounding_noise_of_a_network():
    """VE starts at sigma = 50, where dx/dt is 400 times the network's error."""
    sde = score_sde.VE()

    def noisy(x, t, cond=None):
        prediction = mixture(sde)(x, t)
        eps = prediction.eps + 3e-6 * jnp.sin(1e7 * x)
        return score_sde.Prediction(x - sde.sigma(t)[:, None] * eps, eps)

    sampler = samplers.get("rk45")
    x_init = sde.prior_sample(KEY, (256, 2))
    noisy, clean = (sampler(KEY, d, sde, x_init=x_init) for d in (noisy, mixture(sde)))
    assert noisy.nfe < 2 * clean.nfe
    np.testing.assert_allclose(noisy.x, clean.x, atol=5e-3)


@pytest.mark.parametrize("sde", [score_sde.SubVP(), score_sde.VE()])
def test_samples_the_mixture(x64, sde):
    """8192 samples; 4 standard errors of each of 6 statistics."""
    out = sample(mixture, sde, shape=(8192, 2))
    assert np.abs(z_scores(out.x)).max() < 4


@pytest.mark.parametrize(("jit", "denoise_final"), [(False, "tweedie"), (True, "none")])
def test_nfe_counts_real_evaluations(x64, jit, denoise_final):
    """At rtol 1e-9, VE's first step is rejected, and others after it."""
    sde = score_sde.VE()
    denoise = Counted(mixture(sde))
    sampler = samplers.get("rk45", rtol=1e-9, atol=1e-9, denoise_final=denoise_final)

    def run(key):
        return sampler(key, denoise, sde, shape=(16, 2))

    out = (jax.jit(run) if jit else run)(KEY)
    jax.block_until_ready(out.x)
    assert int(out.nfe) == denoise.count
    assert denoise.count % 6 == 1 + (denoise_final == "tweedie")


def test_denoise_final_is_the_posterior_mean_at_t_min_in_the_dtype_of_x(x64):
    sde = score_sde.VE()
    x_init = sde.prior_sample(KEY, (16, 2), jnp.float32)

    @jax.jit
    def run(x_init):
        plain, denoised = (
            samplers.get("rk45", denoise_final=flag)(KEY, mixture(sde), sde, x_init=x_init).x
            for flag in ("none", "tweedie")
        )
        return plain, denoised, mixture(sde)(plain, jnp.full(16, sde.t_min, jnp.float32)).x0

    plain, denoised, expected = run(x_init)
    assert denoised.dtype == plain.dtype == expected.dtype == jnp.float32
    np.testing.assert_allclose(denoised, expected, rtol=1e-5)
    assert 1e-4 < np.abs(denoised - plain).max() < 0.1


@pytest.mark.parametrize("jit", [False, True])
def test_too_few_steps_is_an_error(jit):
    sde = score_sde.VP()

    def run(key):
        return samplers.get("rk45", max_steps=3)(key, mixture(sde), sde, shape=(4, 2)).x

    with pytest.raises(RuntimeError, match="not solved in max_steps=3 steps"):
        jax.block_until_ready((jax.jit(run) if jit else run)(KEY))


def test_a_nan_is_an_error():
    def broken(x, t, cond=None):
        return score_sde.Prediction(x, jnp.full_like(x, jnp.nan))

    with pytest.raises(RuntimeError, match="look for NaN"):
        samplers.get("rk45")(KEY, broken, score_sde.VP(), shape=(4, 2))


def test_start_must_be_given_once():
    sde = score_sde.VP()
    with pytest.raises(ValueError, match="exactly one of shape"):
        samplers.get("rk45")(KEY, mixture(sde), sde)
