"""The forward processes against autodiff of their own alpha and sigma, and at their two ends."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from score_sde.processes import (
    CONTINUOUS,
    EDM,
    SDE,
    VE,
    VP,
    CosineVP,
    RectifiedFlow,
    SubVP,
    TrigFlow,
    expand,
)

ALL = [
    *(VP(), SubVP(), VE(), EDM(), CosineVP(), RectifiedFlow(), TrigFlow()),
    VP(beta_min=0.5, beta_max=9.0),
]
by_name = pytest.mark.parametrize("sde", ALL, ids=lambda sde: type(sde).__name__)


def interior(sde, n=41):
    """Times that cover [t_min, t_max] evenly in t and in the noise level."""
    ends = sde.log_snr(np.array([sde.t_min, sde.t_max]))
    by_noise = sde.time_at_log_snr(np.linspace(*ends, n))
    return jnp.asarray(np.concatenate([np.linspace(sde.t_min, sde.t_max, n), by_noise]))


@by_name
def test_drift_and_diffusion_follow_from_alpha_and_sigma(x64, sde):
    t = interior(sde)
    d_log_alpha = jax.vmap(jax.grad(lambda t: jnp.log(sde.alpha(t))))(t)
    d_sigma2 = jax.vmap(jax.grad(lambda t: sde.sigma(t) ** 2))(t)
    np.testing.assert_allclose(sde.f(t), d_log_alpha, rtol=1e-9, atol=1e-12)
    expected = d_sigma2 - 2 * d_log_alpha * sde.sigma(t) ** 2
    np.testing.assert_allclose(sde.g2(t), expected, rtol=1e-9)
    np.testing.assert_allclose(sde.diffusion(t), np.sqrt(expected), rtol=1e-9)


@by_name
def test_derivatives_are_those_of_alpha_and_sigma(x64, sde):
    t = interior(sde)
    np.testing.assert_allclose(sde.alpha_dot(t), jax.vmap(jax.grad(sde.alpha))(t), rtol=1e-11)
    np.testing.assert_allclose(sde.sigma_dot(t), jax.vmap(jax.grad(sde.sigma))(t), rtol=1e-11)


@by_name
def test_log_snr_and_its_inverse(x64, sde):
    t = interior(sde)
    expected = 2 * jnp.log(sde.alpha(t) / sde.sigma(t))
    np.testing.assert_allclose(sde.log_snr(t), expected, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(sde.time_at_log_snr(sde.log_snr(t)), t, rtol=1e-10)


@by_name
def test_inverse_without_a_closed_form_agrees_with_the_closed_form(x64, sde):
    t = interior(sde, 7)
    log_snr = sde.log_snr(t)
    np.testing.assert_allclose(SDE.time_at_log_snr(sde, log_snr), t, rtol=1e-10)
    np.testing.assert_allclose(jax.jit(lambda a: SDE.time_at_log_snr(sde, a))(log_snr), t, 1e-10)


@by_name
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_every_method_is_finite_and_keeps_the_dtype(sde, dtype):
    with jax.enable_x64(dtype == jnp.float64):
        t = interior(sde).astype(dtype)
        t = jnp.clip(t, jnp.asarray(sde.t_min, dtype), jnp.asarray(sde.t_max, dtype))
        for method in ("alpha", "sigma", "alpha_dot", "sigma_dot", "f", "g2", "diffusion"):
            value = getattr(sde, method)(t)
            assert value.dtype == dtype, method
            assert value.shape == t.shape, method
            assert jnp.isfinite(value).all(), method
        assert (sde.sigma(t) > 0).all()
        assert (sde.g2(t) > 0).all()
        assert jnp.isfinite(sde.log_snr(t)).all()
        assert sde.time_at_log_snr(sde.log_snr(t)).dtype == dtype


@by_name
def test_float32_is_as_precise_as_float32_can_be(sde):
    """Near t_min the naive 1 - exp(...) would lose four digits."""
    t = np.array([sde.t_min, 2 * sde.t_min, 0.5 * sde.t_max], np.float32)
    for method in ("alpha", "sigma", "g2", "sigma_dot"):
        exact = getattr(sde, method)(t.astype(np.float64))
        np.testing.assert_allclose(getattr(sde, method)(jnp.asarray(t)), exact, rtol=3e-6)


def test_sigma_of_ve_is_precise_enough_to_be_a_label():
    """Networks take its logarithm times up to 300: the seventh digit shows in the score."""
    sde, t = VE(sigma_max=5000.0), np.linspace(1e-5, 1, 1001, dtype=np.float32)
    exact = sde.sigma(t.astype(np.float64))
    np.testing.assert_allclose(jax.jit(sde.sigma)(t), exact, rtol=3e-7)


@by_name
def test_numpy_times_are_computed_on_the_host_in_float64(sde):
    t = np.linspace(sde.t_min, sde.t_max, 50)
    for method in ("alpha", "sigma", "f", "g2", "log_snr"):
        value = getattr(sde, method)(t)
        assert isinstance(value, np.ndarray)
        assert value.dtype == np.float64
    for step in (sde.discretize(t[1:], t[:-1]), sde.ancestral(t[1:], t[:-1])):
        assert all(isinstance(a, np.ndarray) and np.isfinite(a).all() for a in step)


@by_name
def test_marginal_and_drift_take_any_data_shape(x64, sde):
    x = jax.random.normal(jax.random.key(0), (3, 4, 5, 2))
    t = jnp.linspace(sde.t_min, sde.t_max, 3)
    mean, std = sde.marginal(x, t)
    for i in range(3):
        np.testing.assert_allclose(mean[i], sde.alpha(t[i]) * x[i], rtol=1e-12)
        np.testing.assert_allclose(sde.drift(x, t)[i], sde.f(t[i]) * x[i], rtol=1e-12)
    assert std.shape == (3,)
    np.testing.assert_allclose(sde.drift(x, t[1])[1], sde.f(t[1]) * x[1], rtol=1e-12)


@pytest.mark.parametrize("sde", [SubVP(), VE(), EDM(), CosineVP(), RectifiedFlow(), TrigFlow()])
def test_ancestral_transition_composes_to_the_marginal(x64, sde):
    """A alpha_s = alpha_t and A^2 sigma_s^2 + G^2 = sigma_t^2.

    VP is not here: it steps as DDPM does, exact only to first order, which the next test checks.
    """
    t, s = np.float64(0.7 * sde.t_max), np.float64(0.4 * sde.t_max)
    a, g, std = sde.ancestral(t, s)
    np.testing.assert_allclose(a * sde.alpha(s), sde.alpha(t), rtol=1e-12)
    np.testing.assert_allclose(a**2 * sde.sigma(s) ** 2 + g**2, sde.sigma(t) ** 2, rtol=1e-12)
    # The posterior precision is the sum of the precisions of the two ways to know x_s.
    precision = 1 / sde.sigma(s) ** 2 + a**2 / g**2
    np.testing.assert_allclose(std, precision**-0.5, rtol=1e-12)


@by_name
def test_discrete_steps_approach_the_sde(x64, sde):
    """(A - 1) / dt tends to f and G^2 / dt to g^2, with first order, for both kinds of step."""
    t = np.float64(0.6 * sde.t_max)
    for step in (sde.discretize, sde.ancestral):
        errors = []
        for dt in (1e-4, 1e-5):
            a, g = step(t, t - dt * sde.t_max)[:2]
            dt = dt * sde.t_max
            errors.append([abs((a - 1) / dt - sde.f(t)), abs(g**2 / dt - sde.g2(t))])
        fine = np.array(errors[1])
        assert (fine < 1e-2 * (1 + np.abs([sde.f(t), sde.g2(t)]))).all()
        assert (fine <= 0.11 * np.array(errors[0]) + 1e-6).all()


def test_step_to_the_data_is_tweedie(x64):
    """s = 0 is the data: A = alpha_t, G = sigma_t, and no noise is left."""
    for sde in (VE(), EDM(), SubVP(), RectifiedFlow()):
        t = np.float64(0.3 * sde.t_max)
        a, g, std = sde.ancestral(t, np.float64(0.0))
        np.testing.assert_allclose([a, g, std], [sde.alpha(t), sde.sigma(t), 0], rtol=1e-12)


@by_name
def test_prior(x64, sde):
    x = sde.prior_sample(jax.random.key(1), (4000, 3))
    np.testing.assert_allclose(x.std(), sde.prior_std, rtol=4 / np.sqrt(2 * x.size))
    # The prior is the process at t_max, up to what little of the data is left.
    np.testing.assert_allclose(sde.prior_std, sde.sigma(sde.t_max), rtol=1e-2)
    normal = jax.scipy.stats.norm.logpdf(x, 0, sde.prior_std).sum(1)
    np.testing.assert_allclose(sde.prior_logp(x), normal, rtol=1e-10)
    assert sde.prior_sample(jax.random.key(1), (2, 3), jnp.float32).dtype == jnp.float32


def test_processes_are_frozen_and_named():
    assert set(CONTINUOUS.values()) == {type(sde) for sde in ALL}
    with pytest.raises(dataclasses.FrozenInstanceError):
        VP().beta_min = 1.0


def test_expand():
    x = jnp.zeros((2, 3, 4))
    assert expand(jnp.ones(2), x).shape == (2, 1, 1)
    assert expand(jnp.ones(()), x).shape == ()
    assert expand(0.5, x).shape == ()
