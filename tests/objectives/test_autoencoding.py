"""The loss of autoencoders: closed forms, and the optimum of linear ones."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from filled import quick_jit

from score_sde.autoencoder import Gaussian, KLAutoencoder
from score_sde.objectives import Autoencoding, pyramid

pytestmark = pytest.mark.slow

KEY = jax.random.key(3)


def test_the_kl_divergence_is_what_draws_say(x64):
    """E_q[log q(z) - log p(z)], within 4 standard errors of 200,000 draws; 0 of N(0, I)."""
    found = Gaussian(jnp.array([[0.5, -1.0, 0.0]]), jnp.array([[-1.0, 0.3, 0.0]]))
    many = Gaussian(*(jnp.tile(part, (200_000, 1)) for part in found))
    z, m, log_variance = (np.asarray(a) for a in (many.draw(KEY), *found))
    log_q = -0.5 * ((z - m) ** 2 * np.exp(-log_variance) + log_variance)
    each = np.sum(log_q + 0.5 * z**2, axis=1)
    assert abs(each.mean() - found.kl()[0]) < 4 * each.std() / np.sqrt(200_000)
    np.testing.assert_array_equal(Gaussian(jnp.zeros((2, 3)), jnp.zeros((2, 3))).kl(), 0)


def linear(params, shape):
    """q(z | x) = N(V x, diag(exp(l))) and D(z) = W z, of examples of this shape, d numbers."""
    v, log_variance, w, _ = params

    def network(array, method):
        flat = array.reshape(len(array), -1)
        if method == "encode":
            mean = flat @ v.T
            return mean, jnp.broadcast_to(log_variance[None], mean.shape)
        return (flat @ w.T).reshape(len(flat), *shape)

    return KLAutoencoder(network)


def optimum(covariance, latents):
    """Probabilistic PCA (Tipping and Bishop 1999): V, l, W and log b of the maximum likelihood."""
    variances, directions = np.linalg.eigh(covariance)
    variances, directions = variances[::-1], directions[:, ::-1]
    b2 = variances[latents:].mean()
    w = directions[:, :latents] * np.sqrt(variances[:latents] - b2)
    m = np.diag(w.T @ w) + b2  # W'W is diagonal, and so the posterior's covariance b^2 / m
    return w.T / m[:, None], np.log(b2 / m), w, 0.5 * np.log(b2)


@pytest.mark.parametrize("shape", [(1, 6, 1), (6,), (3, 2)])
def test_a_linear_autoencoder_is_best_where_it_is_probabilistic_pca(x64, shape):
    """The gradient is zero, and the loss is -log p of the data under that model (beta 1, w 0).

    Of images, and of signals of one or more channels alike.
    Both are expectations over z, of a quadratic function of its noise: exact by points that have
    its first three moments.
    """
    d, k = 6, 2
    rng = np.random.default_rng(0)
    data = rng.standard_normal((40, d)) @ rng.standard_normal((d, d))
    data -= data.mean(0)
    covariance = data.T @ data / len(data)
    params = tuple(map(jnp.asarray, optimum(covariance, k)))
    x = jnp.asarray(data).reshape(-1, *shape)
    objective = Autoencoding(
        likelihood="gaussian", scale=1.0, kl_weight=1.0, perceptual=0.0, shape=shape
    )
    points = np.sqrt(k) * np.concatenate([np.eye(k), -np.eye(k)])

    def loss(params):
        model = linear(params, shape)
        found = model.encode(x)
        draws = (found.mean + found.std * jnp.asarray(e)[None] for e in points)
        each = [objective.of(x, found, model.decode(z), params[3]).mean() for z in draws]
        return sum(each) / len(points)

    value, gradient = quick_jit(jax.value_and_grad(loss))(params)
    w, b2 = np.asarray(params[2]), np.exp(2 * float(params[3]))
    model = w @ w.T + b2 * np.eye(d)
    entropy = np.log(np.linalg.det(2 * np.pi * model))
    exact = 0.5 * (entropy + np.trace(np.linalg.solve(model, covariance)))
    np.testing.assert_allclose(value, exact / d, rtol=1e-12)
    for array in gradient:
        np.testing.assert_allclose(array, 0, atol=1e-12)
    worse = jax.tree.map(lambda a: a + 0.05 * jnp.asarray(rng.standard_normal(a.shape)), params)
    assert quick_jit(loss)(worse) > value


@pytest.mark.parametrize("likelihood", ["laplace", "gaussian"])
def test_a_learnt_scale_is_the_mean_error(x64, likelihood):
    """Of Laplace's distribution the mean absolute error, of the normal one its root mean square."""
    x = jnp.array([0.1, -0.1, 0.1, 0.9]).reshape(1, 2, 2, 1)
    error = jnp.abs(x)
    best = {"laplace": error.mean(), "gaussian": jnp.sqrt((error**2).mean())}[likelihood]
    objective = Autoencoding(
        likelihood=likelihood, scale=2.0, kl_weight=0.0, perceptual=0.0, shape=(2, 2, 1)
    )
    nothing = Gaussian(jnp.zeros((1, 1)), jnp.zeros((1, 1)))

    def loss(log_scale):
        return objective.of(x, nothing, jnp.zeros_like(x), log_scale)[0]

    np.testing.assert_allclose(quick_jit(jax.grad(loss))(jnp.log(best / 2.0)), 0, atol=1e-12)


def test_a_pyramid_takes_images_apart_by_scales(x64):
    """A flat image is in the last part alone, a checkerboard in the first; their sum is all."""
    flat = jnp.full((1, 16, 12, 2), 0.7)
    laplacian, distance = quick_jit(pyramid.laplacian), quick_jit(pyramid.distance)
    *bands, rest = laplacian(flat)
    assert [band.shape[1:3] for band in bands] == [(16, 12), (8, 6)]
    np.testing.assert_allclose(rest, 0.7, atol=1e-14)
    assert max(np.abs(band).max() for band in bands) < 1e-14
    np.testing.assert_allclose(distance(flat, jnp.zeros_like(flat)), 0.7, atol=1e-14)
    board = (-1.0) ** (jnp.arange(16)[:, None] + jnp.arange(16)[None])
    first, *others = laplacian(board[None, :, :, None])
    np.testing.assert_allclose(first[0, :, :, 0], board, atol=1e-14)  # whose blur is zero
    assert max(np.abs(band).max() for band in others) < 1e-14


def test_what_is_no_image_or_signal_is_refused():
    with pytest.raises(ValueError, match="it is of images or of signals"):
        Autoencoding(shape=(3, 4, 4, 1))
    with pytest.raises(ValueError, match="the discriminator is of images"):
        Autoencoding(shape=(3,), adversarial=0.1)


def test_a_discriminator_and_an_autoencoder_each_follow_their_own_loss(x64):
    """Of one step: hinges teach the one, -c S(x') with S fixed the other; neither before its time.

    Here S is linear, D too, and there is no noise.
    """
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.standard_normal((6, 2, 2, 1)))
    decoder, judge = (jnp.asarray(rng.standard_normal(shape)) for shape in ((2, 4), (4, 3)))
    objective = Autoencoding(
        learned_scale=False, kl_weight=0.0, adversarial=0.7, adversarial_from=0.5, shape=(2, 2, 1)
    )

    def autoencoder(decoder):
        def network(array, method):
            if method == "encode":
                return array[:, 0, :, 0], jnp.full((6, 2), -80.0)
            return (array @ decoder).reshape(6, 2, 2, 1)

        return KLAutoencoder(network)

    def judged(judge, images):
        return images.reshape(6, 4) @ judge

    def loss(decoder, judge, done):
        def own(*args, method="__call__"):
            return judged(judge, *args) if method == "judge" else jnp.zeros(())

        return objective.at(done)(KEY, autoencoder(decoder), None, x, own=own).mean()

    def plain(decoder, judge, c):
        own = dataclasses.replace(objective, adversarial=0.0)
        nats = own(KEY, autoencoder(decoder), None, x).mean()
        return nats - c * judged(judge, autoencoder(decoder).decode(x[:, 0, :, 0])).mean()

    def hinges(judge):
        out = autoencoder(decoder).decode(x[:, 0, :, 0])
        real, made = judged(judge, x), judged(judge, out)
        return jnp.maximum(0, 1 - real).mean() + jnp.maximum(0, 1 + made).mean()

    gradients = quick_jit(jax.grad(loss, (0, 1)))
    for done, c in ((0.2, 0.0), (0.7, 0.7)):
        found = gradients(decoder, judge, done)
        np.testing.assert_allclose(
            found[0], quick_jit(jax.grad(plain))(decoder, judge, c), atol=1e-12
        )
        expected = quick_jit(jax.grad(hinges))(judge) if c else np.zeros_like(judge)
        np.testing.assert_allclose(found[1], expected, atol=1e-12)


def test_the_perceptual_term_is_in_units_of_the_scale():
    """Twice the scale, learnt or not, is half of the term; and w times it is added."""
    x, out = (jax.random.uniform(key, (2, 8, 8, 3)) for key in jax.random.split(jax.random.key(3)))
    found = Gaussian(jnp.zeros((2, 1, 1, 1)), jnp.zeros((2, 1, 1, 1)))

    def term(scale, log_scale, weight):
        with_it, without = (
            Autoencoding(scale=scale, perceptual=w).of(x, found, out, jnp.asarray(log_scale))
            for w in (weight, 0.0)
        )
        return with_it - without

    expected = 3 * pyramid.distance(x, out) / 0.2
    np.testing.assert_allclose(term(0.2, 0.0, 3.0), expected, rtol=1e-4)
    np.testing.assert_allclose(term(0.1, math.log(2), 3.0), expected, rtol=1e-4)
