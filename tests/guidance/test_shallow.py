"""Shallow diffusion on Gaussians, for which all of it has a closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import score_sde
from score_sde import analytic, samplers
from score_sde.guidance import shallow
from score_sde.processes import CONTINUOUS

PROCESSES = tuple(make() for make in CONTINUOUS.values())
each_sde = pytest.mark.parametrize("sde", PROCESSES, ids=list(CONTINUOUS))


def kl(mean, std, other_mean, other_std):
    """Of Gaussians of independent numbers, nats."""
    ratio = (std / other_std) ** 2
    return 0.5 * np.sum(((mean - other_mean) / other_std) ** 2 + ratio - 1 - np.log(ratio))


@each_sde
def test_at_the_boundary_noised_states_are_so_far_apart(sde):
    """By the divergence of the two Gaussians; and before it further, after it less."""
    x, other = np.array([0.3, -1.2, 0.4]), np.array([0.1, -1.0, 0.5])
    error = ((x - other) ** 2).sum()
    t = shallow.boundary(sde, error, 0.05)
    assert sde.t_min < t < sde.t_max
    for time, wanted in ((t, 0.05), (0.9 * t, None), (1.05 * t, None)):
        alpha, sigma = float(sde.alpha(time)), float(sde.sigma(time))
        apart = kl(alpha * x, np.full(3, sigma), alpha * other, np.full(3, sigma))
        if wanted:
            assert apart == pytest.approx(wanted, rel=1e-4)
        else:
            assert (apart > 0.05) == (time < t)


@each_sde
def test_how_far_the_prior_is_from_the_last_state(sde):
    x = np.array([0.3, -1.2, 0.4])
    alpha, sigma = float(sde.alpha(sde.t_max)), float(sde.sigma(sde.t_max))
    exact = kl(alpha * x, np.full(3, sigma), np.zeros(3), np.full(3, sde.prior_std))
    found = shallow.of_prior(sde, (x**2).sum(), 3)
    np.testing.assert_allclose(found, exact, rtol=1e-5, atol=1e-8)


def test_what_needs_no_steps_and_what_needs_all():
    sde = score_sde.VP()
    assert shallow.boundary(sde, 0.0, 0.1) == sde.t_min
    assert shallow.boundary(sde, 1.0, 0.0) == sde.t_max
    assert shallow.boundary(sde, 1e9, 1e-9) == sde.t_max
    assert shallow.boundary(sde, 1e-9, 1e9) == sde.t_min
    for error, nats in ((-1.0, 1.0), (1.0, -1.0)):
        with pytest.raises(ValueError, match="neither can be negative"):
            shallow.boundary(sde, error, nats)


@each_sde
def test_the_law_of_what_is_drawn_from_a_prediction(sde):
    """Of data N(m, s^2) and x~ = m + b, in closed form.

    The flow from t_K is linear, x_0 = m + s (x_t - alpha m) / sqrt(alpha^2 s^2 + sigma^2). So from
    alpha (m + b) + sigma z the mean is m + s alpha b / d, the deviation s sigma / d, d that root.
    """
    mean, std, off, n = 0.7, 0.4, 0.2, 4000
    denoise = analytic.gaussian(sde, mean=[mean], std=std)
    t = shallow.boundary(sde, off**2, 0.05)
    whole = samplers.get("heun", steps=60)
    predicted = jnp.full((n, 1), mean + off)
    sampler, start = shallow.begun(whole, sde, jax.random.key(1), predicted, t)
    begins = sampler.begins(sde)
    assert t <= begins < sde.t_max
    assert sampler.pieces(sde) < whole.pieces(sde)
    out = sampler(jax.random.key(2), denoise, sde, x_init=start)
    alpha, sigma = float(sde.alpha(begins)), float(sde.sigma(begins))
    d = np.sqrt(alpha**2 * std**2 + sigma**2)
    found = np.asarray(out.x, np.float64)
    exact = std * sigma / d
    np.testing.assert_allclose(found.mean(), mean + std * alpha * off / d, atol=4 * exact / n**0.5)
    np.testing.assert_allclose(found.std(), exact, rtol=4 / (2 * n) ** 0.5 + 0.01)


def test_it_begins_at_the_last_time_that_is_not_before():
    sde = score_sde.VP()
    whole = samplers.get("ddim", steps=20)
    times = np.array([whole.later(sde, n / 20).begins(sde) for n in range(1, 20)])
    predicted = jnp.zeros((2, 3))
    for t in (times[4], times[4] - 1e-6, times[4] + 1e-6):
        found, start = shallow.begun(whole, sde, jax.random.key(0), predicted, t)
        assert found.begins(sde) == times[times >= t].min()
        assert start.shape == (2, 3)
    assert shallow.begun(whole, sde, jax.random.key(0), predicted, sde.t_max)[0] == whole
    with pytest.raises(ValueError, match="no steps"):
        shallow.begun(samplers.get("rk45"), sde, jax.random.key(0), predicted, 0.5)
