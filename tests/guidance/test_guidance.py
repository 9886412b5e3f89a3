"""Guidance against the exact conditional: a class of a mixture is one of its components.

With the exact classifier, whose probabilities are the responsibilities of the components at time t,
Bayes' rule gives the score of a component from that of the mixture. Statistical tests draw 3000
samples with a fixed key and allow 3 standard errors.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from one_program import any_of, as_argument
from sampler_oracles import MEANS, STDS, WEIGHTS, gaussian_flow, mixture

import score_sde
from score_sde import analytic, guidance, samplers

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("well_compiled")]

KEY = jax.random.key(7)
PROCESSES = tuple(make() for make in score_sde.processes.CONTINUOUS.values())
each_sde = pytest.mark.parametrize("sde", PROCESSES, ids=lambda sde: type(sde).__name__)


def log_prob_of(sde):
    """log p(k | x_t) = log w_k + log N_k(x_t) - log p_t(x_t)."""

    def log_prob(x, t, label):
        def density(means, stds, weights):
            return analytic.gaussian_mixture_logp(sde, means, stds, weights, x, t)

        each = [density(MEANS[k : k + 1], STDS[k : k + 1], np.ones(1)) for k in range(len(MEANS))]
        joint = jnp.stack(each, 1) + jnp.asarray(np.log(WEIGHTS), x.dtype)[None]
        every = density(MEANS, STDS, WEIGHTS)
        return jnp.take_along_axis(joint, label[:, None], axis=1)[:, 0] - every

    return log_prob


def states(sde, batch=8):
    """States between the modes, where the classifier is unsure, and labels of both classes."""
    t = jnp.linspace(sde.t_min, sde.t_max, batch)
    spread = jnp.sqrt((0.3 * sde.alpha(t)) ** 2 + sde.sigma(t) ** 2)[:, None]
    return spread * jax.random.normal(KEY, (batch, 2)), t, jnp.arange(batch) % 2


@functools.partial(jax.jit, static_argnames="scale")
def predictions(sde, x, t, label, scale=1.0):
    """Guided, of the mixture, and of each of its components."""
    guided = guidance.classifier(mixture(sde), sde, log_prob_of(sde), scale)(x, t, {"label": label})
    components = [analytic.gaussian(sde, MEANS[k], STDS[k])(x, t) for k in (0, 1)]
    return guided, mixture(sde)(x, t), components


@each_sde
def test_bayes_rule_gives_the_component_exactly(x64, sde):
    """x0 and eps, so also the score, at every time from t_min to t_max."""
    guided, plain, components = predictions(any_of(sde, PROCESSES), *states(sde))
    for k, exact in enumerate(components):
        for value, expected in zip(guided, exact, strict=True):
            np.testing.assert_allclose(value[k::2], expected[k::2], rtol=1e-8, atol=1e-9)
        # Without guidance it is another one.
        assert np.abs(plain.eps - exact.eps)[k::2].max() > 1e-2


@jax.jit
def gradients(sde, x, t, label):
    log_prob = log_prob_of(sde)
    one = lambda x, t, label: log_prob(x[None], t[None], label[None])[0]  # noqa: E731
    return jax.vmap(jax.grad(one))(x, t, label)


@each_sde
def test_the_pair_stays_consistent_at_any_scale(x64, sde):
    """x = alpha x0 + sigma eps, and the score moves by scale times the classifier's gradient."""
    x, t, label = states(sde)
    pair, plain, _ = predictions(any_of(sde, PROCESSES), x, t, label, 3.5)
    alpha, sigma = sde.alpha(t)[:, None], sde.sigma(t)[:, None]
    np.testing.assert_allclose(alpha * pair.x0 + sigma * pair.eps, x, rtol=1e-9, atol=1e-9)
    gradient = gradients(any_of(sde, PROCESSES), x, t, label)
    expected = plain.score(sde, t) + 3.5 * gradient
    np.testing.assert_allclose(pair.score(sde, t), expected, rtol=1e-8, atol=1e-9)


def test_scale_zero_is_no_guidance_and_a_scalar_time_will_do(x64):
    sde = score_sde.VP()
    x, _, label = states(sde)
    guided = jax.jit(guidance.classifier(mixture(sde), sde, log_prob_of(sde), 0.0))
    expected = jax.jit(mixture(sde))(x, 0.3).x0
    np.testing.assert_allclose(guided(x, 0.3, {"label": label}).x0, expected, rtol=1e-12)


@jax.jit
def draw(sampler, sde, label):
    denoise = guidance.classifier(mixture(sde), sde, log_prob_of(sde))
    return sampler(KEY, denoise, sde, shape=(len(label), 2), cond={"label": label}).x


@pytest.mark.parametrize(
    ("sde", "name", "options"),
    [
        (score_sde.VP(), "predictor_corrector", {"corrector": "none"}),
        (score_sde.SubVP(), "predictor_corrector", {"corrector": "none"}),
        (score_sde.VE(), "predictor_corrector", {"corrector": "langevin", "snr": 0.02}),
        (score_sde.VP(), "rk45", {"denoise_final": "tweedie"}),
        (score_sde.VE(), "rk45", {}),
        (score_sde.EDM(), "rk45", {}),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, score_sde.SDE) else str(value),
)
def test_samplers_draw_the_class_asked_for(x64, sde, name, options):
    """Mean and variance of both components, in one batch of both labels."""
    if name == "predictor_corrector":
        options = {"predictor": "ancestral", "steps": 500, **options}
    sampler = samplers.get(name, **options)
    label = jnp.arange(6000) % 2
    x = np.asarray(draw(as_argument(sampler, sde), any_of(sde, PROCESSES), label))
    for k in (0, 1):
        part = (x[k::2] - MEANS[k]) / STDS[k]
        np.testing.assert_allclose(part.mean(0), 0, atol=3 / np.sqrt(3000))
        np.testing.assert_allclose((part**2).mean(0), 1, atol=3 * np.sqrt(2 / 3000))
        np.testing.assert_allclose(part.prod(1).mean(), 0, atol=3 / np.sqrt(3000))


@pytest.mark.parametrize("conditional", [False, True])
def test_who_is_told_the_label(conditional):
    sde, told = score_sde.VP(), []

    def denoise(x, t, cond=None):
        told.append(cond)
        return score_sde.Prediction(x, x)

    def log_prob(x, t, label):
        return jnp.sum(x, axis=1)

    x, t, label = states(sde)
    guide = guidance.classifier(denoise, sde, log_prob, conditional=conditional)
    guide(x, t, {"label": label})
    assert told[0] == ({"label": label} if conditional else None)
    guide(x, t, {"label": label, "size": t})  # other conditions are the model's in any case
    assert told[1] == ({"label": label, "size": t} if conditional else {"size": t})
    with pytest.raises(ValueError, match=r'needs cond\["label"\]'):
        guidance.classifier(denoise, sde, log_prob)(x, t)


NULL, GIVEN, STD, W = np.array([0.2, -0.5]), np.array([1.0, 0.3]), 0.4, 2.5


@jax.jit
def extrapolated(sde, x):
    def denoise(x, t, cond=None):
        return analytic.gaussian(sde, NULL if cond is None else cond["mean"], STD)(x, t)

    guided = guidance.classifier_free(denoise, W)
    sampler = samplers.get("rk45", rtol=1e-8, atol=1e-8)
    return sampler(KEY, guided, sde, x_init=x, cond={"mean": GIVEN}).x


BOTH = (score_sde.VP(), score_sde.VE())


@pytest.mark.parametrize("sde", BOTH, ids=["VP", "VE"])
def test_classifier_free_extrapolates_the_mean(x64, sde):
    """Gaussians of one width: it is the flow of that with the mean mu_u + w (mu_c - mu_u)."""
    x = sde.prior_sample(KEY, (16, 2))
    out = extrapolated(any_of(sde, BOTH), x)
    expected = gaussian_flow(sde, x, (NULL + W * (GIVEN - NULL))[None], STD)
    np.testing.assert_allclose(out, expected, atol=1e-6)
