"""The loss of classifiers, and what their networks see."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import score_sde
from score_sde.classifier import Classifier
from score_sde.noise_labels import NOISE_LABELS
from score_sde.objectives import times
from score_sde.objectives.classification import cross_entropy

pytestmark = pytest.mark.slow

KEY = jax.random.key(5)
# Two classes in one dimension, at +1 and -1 with standard deviation S, equally likely.
S = 0.5


def log_odds(sde, x, t):
    """log p(+1 | x_t) - log p(-1 | x_t) = 2 alpha x / v, v = alpha^2 S^2 + sigma^2."""
    alpha, sigma = sde.alpha(t), sde.sigma(t)
    return 2 * alpha * x / (alpha**2 * S**2 + sigma**2)


@pytest.mark.parametrize(
    ("sde", "times"),
    [
        (score_sde.VP(), times.uniform_times()),
        (score_sde.VP(), times.importance_times()),
        (score_sde.VE(sigma_max=8.0), times.uniform_times()),
    ],
    ids=["VP", "VP-importance", "VE"],
)
def test_the_loss_of_the_exact_classifier_is_the_conditional_entropy(x64, sde, times):
    """E_t H(y | x_t) by quadrature over t and x_t; within 3 standard errors of 20,000 draws."""

    def log_prob(x, t, label):
        sign = 2 * label - 1
        return jax.nn.log_sigmoid(sign * log_odds(sde, x[:, 0], t))

    label = jnp.arange(20_000) % 2
    x0 = (2 * label - 1 + S * jax.random.normal(KEY, label.shape))[:, None]
    each = cross_entropy(KEY, log_prob, sde, x0, label, times=times, stratified=True)

    t = jnp.linspace(sde.t_min, sde.t_max, 2001)[:, None]
    z = jnp.linspace(-8, 8, 801)[None]
    std = jnp.sqrt((sde.alpha(t) * S) ** 2 + sde.sigma(t) ** 2)
    # By symmetry, of the class +1 alone.
    inner = -jax.nn.log_sigmoid(log_odds(sde, sde.alpha(t) + std * z, t))
    density = jnp.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    at_each_time = np.trapezoid(inner * density, z[0], axis=1)
    exact = np.trapezoid(at_each_time, t[:, 0]) / (sde.t_max - sde.t_min)
    assert each.shape == (20_000,)
    error = (each.mean() - exact) / (each.std() / np.sqrt(20_000))
    assert abs(error) < 3


def test_the_smallest_time_is_kept():
    seen = []

    def log_prob(x, t, label):
        seen.append(t)
        return jnp.zeros_like(t)

    drawn = times.uniform_times(0.4)
    cross_entropy(
        KEY, log_prob, score_sde.VP(), jnp.zeros((64, 1)), jnp.zeros(64, int), times=drawn
    )
    assert 0.4 <= seen[0].min() < 0.5 < 0.9 < seen[0].max() <= 1


@pytest.mark.parametrize("name", score_sde.processes.CONTINUOUS)
def test_the_network_sees_states_of_order_one_and_the_noise_level(x64, name):
    """For data of unit variance x_t has variance 1 at every time, for every process."""
    sde, seen = score_sde.processes.CONTINUOUS[name](), []

    def network(x, noise):
        seen.append((x, noise))
        return jnp.broadcast_to(jnp.log(jnp.array([1.0, 2.0, 5.0])), (len(x), 3))

    t = jnp.repeat(jnp.linspace(sde.t_min, sde.t_max, 4), 5000)
    key_x, key_eps = jax.random.split(KEY)
    mean, std = sde.marginal(jax.random.normal(key_x, (20_000, 1)), t)
    x = mean + std[:, None] * jax.random.normal(key_eps, mean.shape)
    classifier = Classifier(network, sde)
    log_probs = classifier.log_probs(x, t)
    np.testing.assert_allclose(jnp.exp(log_probs), jnp.array([[0.125, 0.25, 0.625]]) + 0 * x)
    variance = jnp.var(seen[0][0].reshape(4, 5000), axis=1)
    np.testing.assert_allclose(variance, 1, atol=4 * np.sqrt(2 / 5000))
    np.testing.assert_allclose(jnp.log(seen[0][1]), -sde.log_snr(t) / 2, atol=1e-9)
    Classifier(network, sde, NOISE_LABELS["time"]).log_probs(x[:2], t[:2])
    np.testing.assert_array_equal(seen[1][1], 999 * t[:2])
    label = jnp.arange(20_000) % 3
    expected = log_probs[jnp.arange(20_000), label]
    np.testing.assert_array_equal(classifier.log_prob(x, t, label), expected)
    other = classifier.log_prob(x[:4], t[:4], jnp.array([0, 3, -1, 2]))
    assert np.isnan(other).tolist() == [False, True, True, False]
