"""The exact denoisers against autodiff of the exact density, and against each other."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from one_program import any_of

from score_sde import analytic
from score_sde.processes import EDM, VE, VP, CosineVP, RectifiedFlow, SubVP

pytestmark = pytest.mark.slow

SDES = [VP(), SubVP(), VE(), EDM(), CosineVP(), RectifiedFlow()]
each_sde = pytest.mark.parametrize("sde", SDES, ids=lambda sde: type(sde).__name__)

MEANS = np.random.RandomState(0).randn(3, 2, 4)
STDS = np.array([0.25, 0.5, 1.0])
WEIGHTS = np.array([1.0, 2.0, 5.0])  # not normalised on purpose


def states(sde, batch=7, shape=(2, 4)):
    t = jnp.linspace(sde.t_min, sde.t_max, batch)
    noise = jax.random.normal(jax.random.key(1), (batch, *shape))
    mean = jnp.asarray(MEANS[np.arange(batch) % 3]).reshape(batch, *shape)
    return sde.alpha(t)[:, None, None] * mean + (0.3 + sde.sigma(t))[:, None, None] * noise, t


@jax.jit
def score_and_gradient(sde, x, t):
    logp = lambda x, t: analytic.gaussian_mixture_logp(sde, MEANS, STDS, WEIGHTS, x[None], t)[0]  # noqa: E731
    score = analytic.gaussian_mixture(sde, MEANS, STDS, WEIGHTS)(x, t).score(sde, t)
    return score, jax.vmap(jax.grad(logp))(x, t)


@each_sde
def test_mixture_score_is_the_gradient_of_its_log_density(x64, sde):
    x, t = states(sde)
    score, gradient = score_and_gradient(any_of(sde, SDES), x, t)
    np.testing.assert_allclose(score, gradient, rtol=1e-8, atol=1e-10)


@jax.jit
def predictions(sde, x, t):
    return analytic.gaussian_mixture(sde, MEANS, STDS, WEIGHTS)(x, t)


@each_sde
def test_mixture_prediction_is_consistent(x64, sde):
    x, t = states(sde)
    pair = predictions(any_of(sde, SDES), x, t)
    rebuilt = sde.alpha(t)[:, None, None] * pair.x0 + sde.sigma(t)[:, None, None] * pair.eps
    np.testing.assert_allclose(rebuilt, x, rtol=1e-9, atol=1e-10)


def test_log_density_is_normalised(x64):
    """It integrates to 1 in one dimension, at both ends of time."""
    sde, grid = VP(), jnp.linspace(-12, 12, 20001)
    means, stds = np.array([[-1.0], [1.0]]), np.array([0.25, 0.25])

    @jax.jit
    def logp(x, t):
        return analytic.gaussian_mixture_logp(sde, means, stds, np.ones(2), x[:, None], t)

    for t in (sde.t_min, 0.5, 1.0):
        np.testing.assert_allclose(np.trapezoid(np.exp(logp(grid, t)), grid), 1, rtol=1e-9)


def test_gaussian_is_the_mixture_with_one_component(x64):
    sde = VP()
    x, t = states(sde)
    pair = analytic.gaussian(sde, MEANS[0], 0.5)(x, t)
    # Bayes' rule for one Gaussian, written out.
    alpha, sigma = sde.alpha(t)[:, None, None], sde.sigma(t)[:, None, None]
    precision = 1 / 0.5**2 + alpha**2 / sigma**2
    expected = (MEANS[:1] / 0.5**2 + alpha * x / sigma**2) / precision
    np.testing.assert_allclose(pair.x0, expected, rtol=1e-10)


@jax.jit
def correlated(sde, x, t):
    """The prediction, and the gradient of the log density."""
    root = np.random.RandomState(1).randn(8, 5)

    def logp(x, t):
        mean, alpha, sigma = jnp.asarray(MEANS[0]).ravel(), sde.alpha(t), sde.sigma(t)
        covariance = alpha**2 * jnp.asarray(root @ root.T) + sigma**2 * jnp.eye(8)
        return jax.scipy.stats.multivariate_normal.logpdf(x.ravel(), alpha * mean, covariance)

    pair = analytic.correlated_gaussian(sde, MEANS[0], root @ root.T)(x, t)
    return pair, jax.vmap(jax.grad(logp))(x, t)


@each_sde
def test_correlated_gaussian_is_bayes_rule(x64, sde):
    """The score is the gradient of N(alpha m, alpha^2 S + sigma^2 I), and x = alpha x0 + sigma eps.

    The covariance S is singular: of rank 5 in 8 dimensions.
    """
    x, t = states(sde)
    pair, score = correlated(any_of(sde, SDES), x, t)
    np.testing.assert_allclose(pair.score(sde, t), score, rtol=1e-6, atol=1e-8)
    rebuilt = sde.alpha(t)[:, None, None] * pair.x0 + sde.sigma(t)[:, None, None] * pair.eps
    np.testing.assert_allclose(rebuilt, x, rtol=1e-9, atol=1e-10)


def test_correlated_gaussian_wants_a_covariance():
    for wrong, message in (
        (np.eye(7), "symmetric and 8 x 8"),
        (np.triu(np.ones((8, 8))), "symmetric and 8 x 8"),
        (np.diag([-1.0] + [1.0] * 7), "negative eigenvalue, -1"),
    ):
        with pytest.raises(ValueError, match=message):
            analytic.correlated_gaussian(VP(), MEANS[0], wrong)


def test_empirical_is_a_softmax_average_of_the_data(x64):
    sde = VE(sigma_max=5.0)
    data = jax.random.normal(jax.random.key(3), (11, 2, 4))
    x, t = states(sde)
    logits = -jnp.sum((x[:, None] - data[None]) ** 2, (2, 3)) / (2 * sde.sigma(t)[:, None] ** 2)
    expected = jnp.einsum("bn,nij->bij", jax.nn.softmax(logits), data)
    pair = analytic.empirical(sde, data)(x, t)
    np.testing.assert_allclose(pair.x0, expected, rtol=1e-9, atol=1e-12)
    near = analytic.empirical(sde, data)(data + 1e-3, jnp.full(11, sde.t_min))
    np.testing.assert_allclose(near.x0, data, atol=1e-10)


def test_scalar_time_and_dtype():
    sde = VP()
    x = jnp.zeros((5, 2, 4))
    for denoise in (
        analytic.gaussian_mixture(sde, MEANS, STDS, WEIGHTS),
        analytic.gaussian(sde, MEANS[0], 1.0),
        analytic.correlated_gaussian(sde, MEANS[0], np.eye(8)),
        analytic.empirical(sde, MEANS),
    ):
        pair = jax.jit(functools.partial(denoise, t=0.5))(x)
        assert pair.x0.dtype == pair.eps.dtype == jnp.float32
        assert pair.x0.shape == x.shape
        np.testing.assert_allclose(pair.x0, jax.jit(denoise)(x, jnp.full(5, 0.5)).x0)
