"""The bound is the exact one of a Gaussian, whatever the schedule; its shape learns by L^2."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from score_sde import analytic, processes
from score_sde.objectives import VariationalDiffusion
from score_sde.objectives.noise_schedule import NoiseSchedule, Share
from score_sde.objectives.variational_diffusion import (
    decoder,
    gammas,
    of_least_variance,
    terms,
    time_at,
)
from score_sde.processes import VP, RectifiedFlow
from score_sde.spaces import Pixels

pytestmark = pytest.mark.slow

STD, SHAPE = 0.5, (3,)
N = 4096


@functools.partial(jax.jit, static_argnums=0)
def gaussian_terms(sde, power, model_std):
    """The terms of N examples of N(0, STD^2), with the schedule s(t) = t^power."""
    x0 = STD * jax.random.normal(jax.random.key(0), (N, *SHAPE))
    denoise = analytic.gaussian(sde, mean=jnp.zeros(SHAPE), std=model_std)
    return terms(
        jax.random.key(1),
        denoise,
        sde,
        x0,
        None,
        lambda t: Share(t**power, power * t ** (power - 1)),
    )


def exact_terms(sde):
    """Bits/dim, for the exact denoiser: 1/2 int SNR s^2 / (1 + SNR s^2) dgamma in the middle."""
    snr = [math.exp(-gamma) for gamma in gammas(sde)]
    alpha, sigma = (float(c(np.float64(sde.t_max))) for c in (sde.alpha, sde.sigma))
    prior = 0.5 * ((alpha * STD) ** 2 + sigma**2 - 1 - 2 * math.log(sigma))
    diffusion = 0.5 * math.log((1 + snr[0] * STD**2) / (1 + snr[1] * STD**2))
    decoder = 0.5 * math.log(2 * math.pi * math.e / snr[0])
    return [nats / math.log(2) for nats in (prior, diffusion, decoder)]


@pytest.mark.parametrize("sde", [VP(), RectifiedFlow()])
def test_on_a_gaussian_each_term_is_the_exact_one(sde, x64):
    """Whatever the schedule between its ends; to four standard errors.

    Times are spread evenly, so that these are larger than the errors.
    """
    for power in (0.7, 1.0, 3.0):
        for term, exact in zip(gaussian_terms(sde, power, STD), exact_terms(sde), strict=True):
            error = float(term.std()) / math.sqrt(N)
            assert abs(float(term.mean()) - exact) < 4 * error + 1e-12


def test_the_whole_is_the_entropy_and_with_another_denoiser_more(x64):
    """Exactly: its terms have a closed form, in which t_min and the prior cost little.

    The loss of a denoiser for another spread is higher by the KL; both see the same draws.
    """
    sde = VP(t_min=1e-5)
    entropy = 0.5 * math.log2(2 * math.pi * math.e * STD**2)
    assert sum(exact_terms(sde)) == pytest.approx(entropy, abs=1e-4)
    right, wrong = (sum(gaussian_terms(sde, 2.0, std)) for std in (STD, 0.7))
    kl = 0.5 * ((STD / 0.7) ** 2 - 1 - 2 * math.log(STD / 0.7)) / math.log(2)
    more = wrong - right
    assert abs(float(more.mean()) - kl) < 4 * float(more.std()) / math.sqrt(N) + 1e-3


def test_the_schedule_gets_the_gradient_of_the_squared_loss(x64):
    """And the denoiser that of the loss, in one backward pass: both by automatic differentiation.

    Those of the squared loss and of the loss are taken of the same terms without the rule.
    """
    sde, x0 = VP(), jax.random.normal(jax.random.key(2), (8, *SHAPE))
    schedule = NoiseSchedule(4, rngs=nnx.Rngs(0))
    graph, shape = nnx.split(schedule, nnx.Param)
    key, rest = jax.random.key(3), jnp.linspace(1.0, 2.0, 8)
    eps = jax.random.normal(key, x0.shape)
    first, last = gammas(sde)
    t = jnp.linspace(0.1, 0.9, 8)

    def loss(std, done, rate):
        time = time_at(sde, -(first + (last - first) * done))
        z = sde.alpha(time)[:, None] * x0 + sde.sigma(time)[:, None] * eps
        predicted = analytic.gaussian(sde, mean=jnp.zeros(SHAPE), std=std)(z, time).eps
        return rate * jnp.sum((eps - predicted) ** 2, axis=1)

    def plain(std, shape):
        return loss(std, *nnx.merge(graph, shape)(t))

    def ruled(std, shape):
        share = nnx.merge(graph, shape)(t)
        return of_least_variance(lambda *of: loss(std, *of), share, rest).mean()

    def wanted(std, shape):
        by_std = jax.grad(lambda std: plain(std, shape).mean())(std)
        squared = jax.grad(lambda shape: ((plain(std, shape) + rest) ** 2).mean())(shape)
        return plain(std, shape).mean(), (by_std, squared)

    std = jnp.asarray(0.7)
    found = jax.jit(jax.value_and_grad(ruled, argnums=(0, 1)))(std, shape)
    for got, want in zip(*map(jax.tree.leaves, (found, jax.jit(wanted)(std, shape))), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-10)


def test_the_schedule_learns_a_smaller_variance(x64):
    """Adam takes the variance of a loss down to near the least, that of s' = 1 / E[L | noise].

    The loss is that of an eps which is lost in the first two fifths of the way and found after,
    without noise: mean 0.4, at least 0.4^2 in the mean of its square, and 0.4 for a line.
    """
    graph, shape = nnx.split(NoiseSchedule(rngs=nnx.Rngs(0)), nnx.Param)
    t, adam = (jnp.arange(256) + 0.5) / 256, optax.adam(0.1)

    def loss(shape):
        def of(done, rate):
            return rate * jax.nn.sigmoid(50 * (0.4 - done))

        return of_least_variance(of, nnx.merge(graph, shape)(t), jnp.zeros(256))

    def step(carry, _):
        shape, state = carry
        slope = jax.grad(lambda shape: loss(shape).mean())(shape)
        updates, state = adam.update(slope, state)
        return (optax.apply_updates(shape, updates), state), None

    @jax.jit
    def learn(shape):
        (learnt, _), _ = jax.lax.scan(step, (shape, adam.init(shape)), length=200)
        return loss(shape), loss(learnt)

    before, after = learn(shape)
    assert before.var() > 0.2
    assert after.var() < 0.05
    np.testing.assert_allclose([before.mean(), after.mean()], 0.4, atol=0.005)


@pytest.mark.parametrize(
    "sde", [VP(), processes.from_alpha_sigma(lambda t: 1 - 0.999 * t, lambda t: t)]
)
def test_the_time_of_a_log_snr_has_its_derivative(sde, x64):
    """Also where it is found by bisection."""
    log_snr = jnp.linspace(-4.0, 4.0, 9)
    t = jax.jit(functools.partial(time_at, sde))(log_snr)
    np.testing.assert_allclose(sde.log_snr(np.asarray(t)), log_snr, atol=1e-10)
    slope = jax.jit(jax.grad(lambda log_snr: time_at(sde, log_snr).sum()))(log_snr)
    h = 1e-5
    times = (sde.time_at_log_snr(np.asarray(log_snr) + side) for side in (h, -h))
    np.testing.assert_allclose(slope, np.subtract(*times) / (2 * h), rtol=1e-6)


@pytest.mark.parametrize("levels", [2, 17, 256])
def test_the_probabilities_of_all_levels_sum_to_one(levels, x64):
    """p(x_k | z_0) at the same z_0, with so much noise that several levels share it."""
    space = Pixels((1, 1, 1), levels)
    sde, values = VP(t_min=0.2), np.array(space.values)
    assert len(values) == levels
    scale = math.exp(0.5 * float(sde.log_snr(np.float64(0.2))))
    z = 0.3  # z_0 / alpha_0; the noise that it takes from each value
    eps = jnp.asarray(scale * (z - values))[:, None]
    # One number each: bits/dim are bits.
    bits = jax.jit(decoder, static_argnums=(0, 3))
    p = jnp.exp2(-bits(sde, jnp.asarray(values)[:, None], eps, space.values))
    np.testing.assert_allclose(p.sum(), 1, rtol=1e-12)
    assert p.max() < 0.99


def test_the_values_are_those_that_a_space_gives():
    """Of the 17 levels of the digits, whose pixels are rounded; of dequantised data none."""
    space = Pixels((4, 5, 1), 17)
    pixels = np.round(np.arange(17) * 255 / 16).astype(np.uint8)
    np.testing.assert_allclose(space.encode(pixels), space.values, atol=1e-7)
    unit = Pixels((4, 5, 1), 17, centered=False)
    np.testing.assert_allclose(unit.encode(pixels), unit.values, atol=1e-7)
    assert Pixels((4, 5, 1), 17, dequantize=True).values is None


@pytest.mark.parametrize(
    ("sde", "said"),
    [(processes.DDPM(), "continuous time"), (RectifiedFlow(t_max=1.0), "no signal")],
)
def test_what_has_no_such_bound_is_refused(sde, said):
    with pytest.raises(ValueError, match=said):
        VariationalDiffusion().check(sde)
