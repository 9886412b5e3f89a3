"""A process of one's own, of alpha and sigma alone, against the closed forms of VP."""

import dataclasses
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from score_sde import analytic, processes, samplers
from score_sde.processes import SDE, VP, RectifiedFlow, from_alpha_sigma, namespace
from score_sde.runs import config as configs
from score_sde.samplers import predictors

pytestmark = pytest.mark.slow


def integral(t):
    """int_0^t beta of VP."""
    return 0.1 * t + 9.95 * t**2


def alpha(t):
    return jnp.exp(-0.5 * integral(t))


def sigma(t):
    return jnp.sqrt(-jnp.expm1(-integral(t)))


OWN, CLOSED = from_alpha_sigma(alpha, sigma), VP()
TIMES = np.linspace(1e-3, 1.0, 41)
METHODS = ("alpha", "sigma", "alpha_dot", "sigma_dot", "f", "g2", "diffusion", "log_snr")


@pytest.mark.parametrize("method", METHODS)
def test_it_is_vp_in_float64(method):
    """Of NumPy times on the host whatever JAX's default is, and of JAX's; to rounding."""
    expected = getattr(CLOSED, method)(TIMES)
    found = getattr(OWN, method)(TIMES)
    assert isinstance(found, np.ndarray)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, expected, rtol=2e-12)
    with jax.enable_x64(True):
        np.testing.assert_allclose(getattr(OWN, method)(jnp.asarray(TIMES)), expected, rtol=2e-12)


def test_its_log_snr_is_inverted():
    """In float64 on the host and in float32 while JAX traces."""
    log_snr = CLOSED.log_snr(TIMES)
    np.testing.assert_allclose(OWN.time_at_log_snr(log_snr), TIMES, rtol=1e-13)
    traced = jax.jit(OWN.time_at_log_snr)(jnp.asarray(log_snr, jnp.float32))
    assert traced.dtype == jnp.float32
    np.testing.assert_allclose(traced, TIMES, rtol=1e-5)


def test_the_coefficients_of_solvers_are_vps():
    """Of the predictors that VP has no steps of its own for, computed in float64 under jit."""
    t, s = TIMES[::-1], np.append(TIMES[-2::-1], 0.0)

    @jax.jit
    def traced(x):
        for predictor, flow in ((predictors.euler_maruyama, False), (predictors.ancestral, True)):
            found, expected = predictor(OWN, t, s, flow), predictor(CLOSED, t, s, flow)
            for ours, theirs in zip(found, expected, strict=True):
                assert ours.dtype == np.float64
                np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-14)
        return x

    traced(0.0)


def test_samples_of_it_are_vps():
    """The same noise gives the same samples, to float32, with an exact denoiser of each."""
    sampler = samplers.get(
        "predictor_corrector", predictor="euler_maruyama", corrector="none", steps=30
    )

    def draw(sde):
        denoise = analytic.gaussian_mixture(
            sde, means=[[-1.0], [1.0]], stds=[0.3, 0.3], weights=[0.5, 0.5]
        )
        x = jax.random.normal(jax.random.key(1), (64, 1))
        return jax.jit(lambda key: sampler(key, denoise, sde, x_init=x).x)(jax.random.key(0))

    np.testing.assert_allclose(draw(OWN), draw(CLOSED), atol=1e-4)


def test_the_prior_has_the_last_sigma():
    """A straight path to noise of twice the size."""
    wide = from_alpha_sigma(lambda t: 1 - t, lambda t: 2 * t, t_max=0.999)
    assert wide.prior_std == pytest.approx(1.998, rel=1e-15)
    np.testing.assert_allclose(wide.f(TIMES[:-1]), RectifiedFlow().f(TIMES[:-1]), rtol=1e-13)


def test_a_new_process_needs_no_derivatives():
    """Those of the base class are automatic, for NumPy and JAX, of a number or an array."""

    @dataclasses.dataclass(frozen=True)
    class Short(SDE):
        t_min: float = 1e-3
        t_max: float = 0.999

        def alpha(self, t):
            return 1 - t

        def sigma(self, t):
            return namespace(t).sqrt(t)

    np.testing.assert_allclose(Short().sigma_dot(TIMES), 0.5 / np.sqrt(TIMES), rtol=1e-14)
    assert Short().alpha_dot(0.5) == Short().alpha_dot(np.float64(0.5)) == -1


@pytest.mark.parametrize(
    ("alpha", "sigma", "message"),
    [
        (sigma, alpha, "alpha(t) / sigma(t) must fall with t, from data to noise"),
        (lambda t: 1 - 2 * t, sigma, "alpha(t) must be above 0 and finite from t_min=0.001"),
        (alpha, lambda t: jnp.log(-t), "sigma(t) must be above 0 and finite"),
        (lambda t: 1.0, sigma, "alpha(t) must have the shape of t"),
    ],
)
def test_functions_that_are_no_process_are_refused(alpha, sigma, message):
    """Where they are given, with what is wrong."""
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        from_alpha_sigma(alpha, sigma)


def test_a_config_asks_for_it_by_a_name_that_no_other_has(monkeypatch):
    """The name is made of alpha and sigma; before it is registered, it is one line what to do."""
    monkeypatch.setattr(processes, "_REGISTERED", {})
    config = configs.default()
    config.sde.name = OWN.name
    with pytest.raises(ValueError, match="call processes"):
        processes.read(config.sde)
    assert processes.register(from_alpha_sigma(alpha, sigma)) == OWN.name
    assert processes.register(from_alpha_sigma(lambda t: alpha(t) ** 1.01, sigma)) != OWN.name
    config.sde.t_min = 0.01
    configs.check_fields(config)
    found = processes.read(config.sde)
    assert (found.alpha_of, found.t_min) == (alpha, 0.01)
    config.sde.beta_max = 3.0
    with pytest.raises(ValueError, match=r"unknown parameter of config\.sde\.name=own_"):
        processes.read(config.sde)
