"""Flow maps: the exact one of a Gaussian, and those of networks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from score_sde import VP, analytic
from score_sde.flow_map import INTERVAL, Consistency, OfDenoiser, angle, levels
from score_sde.noise_labels import NOISE_LABELS
from score_sde.prediction import PARAMETRIZATIONS, from_network
from score_sde.processes import CONTINUOUS

KEY = jax.random.key(4)
MEAN, STD = np.array([0.3, -0.2]), 0.5


def exact(sde):
    return analytic.GaussianFlowMap(sde, MEAN, STD)


@pytest.mark.slow
@pytest.mark.parametrize("name", CONTINUOUS)
def test_the_gaussian_map_is_the_quantile_map(x64, name):
    """A jump takes mean + k std of the marginal at t to that at s; the pair is consistent.

    At s = 0 that are the data, and at s = t the pair is that of the denoiser.
    """
    sde = CONTINUOUS[name]()
    t = jnp.linspace(sde.t_min, sde.t_max, 9)
    k = jax.random.normal(KEY, (9, 2))
    for s in (jnp.zeros(9), sde.t_min * jnp.ones(9), 0.4 * t, t):

        def at(time):
            alpha, sigma = (level[:, None] for level in levels(sde, time))
            return alpha * MEAN[None] + jnp.sqrt((alpha * STD) ** 2 + sigma**2) * k

        x = at(t)
        np.testing.assert_allclose(exact(sde).jump(x, t, s), at(s), rtol=1e-9, atol=1e-9)
        pair = exact(sde).average(x, t, s)
        again = sde.alpha(t)[:, None] * pair.x0 + sde.sigma(t)[:, None] * pair.eps
        np.testing.assert_allclose(again, x, rtol=1e-9, atol=1e-9)
    denoised, ours = analytic.gaussian(sde, MEAN, STD)(x, t), exact(sde)(x, t)
    np.testing.assert_allclose(ours.x0, denoised.x0, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(ours.eps, denoised.eps, rtol=1e-9, atol=1e-12)


def test_it_is_constant_along_paths(x64):
    """d/dt jump(x_t, t, s) = 0 with dx/dt the velocity of the denoiser: equation (1)."""
    sde = CONTINUOUS["vp"]()
    x, t, s = jax.random.normal(KEY, (5, 2)), jnp.linspace(0.3, 1, 5), jnp.linspace(0.1, 0.3, 5)

    @jax.jit
    def change(x, t):
        velocity = analytic.gaussian(sde, MEAN, STD)(x, t).velocity(sde, t)
        jump = lambda x, t: exact(sde).jump(x, t, s)  # noqa: E731
        return jax.jvp(jump, (x, t), (velocity, jnp.ones(5)))[1]

    np.testing.assert_allclose(change(x, t), 0, atol=1e-12)


@pytest.mark.parametrize("name", CONTINUOUS)
def test_the_interval_is_an_angle(x64, name):
    """From 0 to at most 1, rising in t; of the data it is 0."""
    sde = CONTINUOUS[name]()
    found = angle(sde, jnp.concatenate([jnp.zeros(1), jnp.linspace(sde.t_min, sde.t_max, 50)]))
    assert found[0] == 0
    assert (jnp.diff(found) > 0).all()
    assert 0.85 < found[-1] <= 1


def test_a_network_is_told_the_interval_among_its_conditions():
    """0 for the denoiser; and of a consistency model it is told nothing."""
    sde, seen = VP(), []

    def network(x, label, cond):
        seen.append(cond)
        return jnp.zeros_like(x)

    denoise = from_network(network, sde, PARAMETRIZATIONS["eps"](), NOISE_LABELS["time"])
    x, cond = jnp.ones((3, 2)), {"label": jnp.arange(3)}
    model = OfDenoiser(sde, denoise)
    model(x, 0.7, cond)
    assert seen[-1].keys() == {INTERVAL, "label"}
    np.testing.assert_array_equal(seen[-1][INTERVAL], jnp.zeros(3))
    model.jump(x, 0.7, 0.2)
    expected = angle(sde, jnp.float32(0.7)) - angle(sde, jnp.float32(0.2))
    np.testing.assert_allclose(seen[-1][INTERVAL], jnp.full(3, expected), rtol=1e-6)
    ends = Consistency(sde, denoise).jump(x, 0.7, 0.0, cond)
    assert seen[-1] is cond
    np.testing.assert_array_equal(ends, denoise(x, 0.7, cond).x0)
