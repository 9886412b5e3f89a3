"""Losses: unbiased estimates, the equivalence of weightings, and the optimum at the exact score."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from score_sde import analytic
from score_sde.noise_labels import NOISE_LABELS
from score_sde.objectives import denoising, times, weightings
from score_sde.prediction import PARAMETRIZATIONS, Prediction, from_network
from score_sde.processes import DDPM, EDM, SMLD, VE, VP, CosineVP, RectifiedFlow, SubVP

pytestmark = pytest.mark.slow

SDES = [VP(), SubVP(), VE(), EDM(), CosineVP(), RectifiedFlow()]
each_sde = pytest.mark.parametrize("sde", SDES, ids=lambda sde: type(sde).__name__)


def quadrature(sde, function, n=400):
    """The mean of function(t) under uniform t, by Gauss-Legendre quadrature in log SNR."""
    nodes, weights = np.polynomial.legendre.leggauss(n)
    start, end = sde.log_snr(np.array([sde.t_min, sde.t_max]))
    t = jnp.asarray(sde.time_at_log_snr((start + end) / 2 + (start - end) / 2 * nodes))
    dt = sde.sigma(t) ** 2 / sde.g2(t)  # -dt / d log_snr
    return np.sum(weights * (start - end) / 2 * dt * function(t)) / (sde.t_max - sde.t_min)


@each_sde
@pytest.mark.parametrize("stratified", [False, True])
def test_importance_sampling_is_unbiased_and_flattens_the_likelihood_weight(x64, sde, stratified):
    """The mean of c(t) h(t) over the draws is the integral of h over uniform t."""
    batch = 1 << 16
    t, c = times.draw_times(
        jax.random.key(0), sde, batch, times.importance_times(), stratified=stratified
    )
    product = c * weightings.likelihood_weighting().weight(sde, t)
    np.testing.assert_allclose(product, product[0], rtol=1e-7)
    h = lambda t: sde.g2(t) / sde.sigma(t) ** 2 * (1 + jnp.sin(5 * t))  # noqa: E731
    draws = np.asarray(c * h(t))
    expected = quadrature(sde, h)
    error = 4 * draws.std() / np.sqrt(batch)
    assert abs(draws.mean() - expected) < error
    if stratified:  # much closer than independent draws would come
        assert abs(draws.mean() - expected) < 0.1 * error


@each_sde
def test_importance_sampled_loss_has_the_mean_of_the_uniform_one_and_less_variance(x64, sde):
    denoise = analytic.gaussian(sde, jnp.zeros(2), 2.0)  # a wrong model, so that errors are finite
    x0 = jax.random.normal(jax.random.key(0), (1 << 16, 2))

    @jax.jit
    def losses(x0):
        loss = functools.partial(
            denoising.denoising_score_matching,
            jax.random.key(1),
            denoise,
            sde,
            x0,
            weighting=weightings.likelihood_weighting(),
        )
        return loss(times=times.uniform_times()), loss(times=times.importance_times())

    plain, weighted = map(np.asarray, losses(x0))
    error = np.sqrt((plain.var() + weighted.var()) / len(x0))
    assert abs(plain.mean() - weighted.mean()) < 4 * error
    if not isinstance(sde, VE):  # VE's own t is already uniform in log SNR
        assert weighted.var() < 0.5 * plain.var()


def test_stratified_times_cover_the_interval_evenly(x64):
    sde, n = VP(), 64
    t, _ = times.draw_times(jax.random.key(5), sde, n, times.uniform_times(), stratified=True)
    u = np.sort((np.asarray(t) - sde.t_min) / (sde.t_max - sde.t_min))
    np.testing.assert_allclose(np.diff(u), 1 / n, rtol=1e-6)
    independent, _ = times.draw_times(jax.random.key(5), sde, n, times.uniform_times())
    assert np.diff(np.sort(independent)).std() > 1e-3


def test_time_distributions_have_the_stated_law(x64):
    n = 1 << 16
    t, c = times.draw_times(jax.random.key(0), EDM(), n, times.log_normal_times(-1.2, 1.2))
    log_sigma = np.log(t)
    assert abs(log_sigma.mean() + 1.2) < 4 * 1.2 / np.sqrt(n)
    assert abs(log_sigma.std() - 1.2) < 4 * 1.2 / np.sqrt(2 * n)
    assert (c == 1).all()
    # In VP it is sigma / alpha that is log-normal.
    vp = VP()
    t, _ = times.draw_times(jax.random.key(0), vp, n, times.log_normal_times(-1.2, 1.2))
    inside = (t > vp.t_min) & (t < vp.t_max)
    np.testing.assert_allclose(-vp.log_snr(t)[inside] / 2, log_sigma[inside], atol=1e-8)
    sde = RectifiedFlow()
    t, _ = times.draw_times(jax.random.key(0), sde, n, times.logit_normal_times(0.5, 0.8))
    u = (np.asarray(t) - sde.t_min) / (sde.t_max - sde.t_min)
    logit = np.log(u / (1 - u))
    assert abs(logit.mean() - 0.5) < 4 * 0.8 / np.sqrt(n)
    assert abs(logit.std() - 0.8) < 4 * 0.8 / np.sqrt(2 * n)
    t, _ = times.draw_times(jax.random.key(0), VP(), n, times.uniform_times(t_min=0.2))
    assert 0.2 <= t.min() < 0.201


def test_times_are_finite_in_float32():
    processes = dict.fromkeys(times.TIMES, SDES) | {"discrete": [SMLD(), DDPM()]}
    for name, make in times.TIMES.items():
        for sde in processes[name]:
            for stratified in (False, True):
                t, c = times.draw_times(jax.random.key(0), sde, 4096, make(), stratified)
                assert t.dtype == jnp.float32, name
                assert jnp.isfinite(t).all(), name
                assert jnp.isfinite(c).all(), name
                # t_min is where samplers stop; a discrete sequence begins at its level 0, t = 0.
                first = 0 if name == "discrete" else np.float32(sde.t_min)
                assert (t >= first).all(), name
                assert (t <= np.float32(sde.t_max)).all(), name


def squared_error(sde, t, quantity, pair, truth):
    error = weightings.QUANTITIES[quantity](sde, t, pair) - weightings.QUANTITIES[quantity](
        sde, t, truth
    )
    return np.asarray((error**2).sum(1))


@each_sde
def test_weightings_are_what_they_say_about_the_score(x64, sde):
    """simple is sigma^2 on the score, likelihood g^2 on the score, EDM lambda on x0."""
    t = jnp.linspace(sde.t_min, sde.t_max, 13)
    x0, eps, other = jax.random.normal(jax.random.key(2), (3, 13, 5))
    x = sde.alpha(t)[:, None] * x0 + sde.sigma(t)[:, None] * eps
    truth, pair = Prediction(x0, eps), PARAMETRIZATIONS["eps"]().prediction(sde, x, t, other)
    on_score = squared_error(sde, t, "score", pair, truth)

    def weighted(weighting):
        return weighting.weight(sde, t) * squared_error(sde, t, weighting.quantity, pair, truth)

    np.testing.assert_allclose(
        weighted(weightings.simple_weighting()), sde.sigma(t) ** 2 * on_score
    )
    np.testing.assert_allclose(weighted(weightings.likelihood_weighting()), sde.g2(t) * on_score)
    s, d = sde.sigma(t) / sde.alpha(t), 0.7
    lam = (s**2 + d**2) / (s * d) ** 2
    on_x0 = squared_error(sde, t, "x0", pair, truth)
    np.testing.assert_allclose(weighted(weightings.edm_weighting(d)), lam * on_x0, rtol=1e-9)
    on_velocity = squared_error(sde, t, "velocity", pair, truth)
    np.testing.assert_allclose(weighted(weightings.uniform_weighting()), on_velocity, rtol=1e-9)


def test_reductions(x64):
    squared = jnp.arange(12.0).reshape(2, 3, 2)
    np.testing.assert_allclose(denoising.REDUCTIONS["mean"](squared), [2.5, 8.5])
    np.testing.assert_allclose(denoising.REDUCTIONS["half_sum"](squared), [7.5, 25.5])


@each_sde
def test_gradient_vanishes_in_expectation_at_the_exact_score(x64, sde):
    """Perturb the exact denoiser of N(m, s^2) by its parameters: the expected slope is zero there.

    In every weighting. The loss itself is not zero at the optimum: its floor is the conditional
    variance.
    """
    n, mean, std = 1 << 16, 0.3, 0.5
    x0 = mean + std * jax.random.normal(jax.random.key(0), (n, 1))

    def example_losses(parameters):
        model = analytic.gaussian(sde, parameters[:1], parameters[1])
        loss = functools.partial(
            denoising.denoising_score_matching,
            jax.random.key(1),
            model,
            sde,
            x0,
            times=times.importance_times(),
        )
        losses = {name: loss(weighting=make()) for name, make in weightings.WEIGHTINGS.items()}
        return losses, losses

    slopes_and_losses = jax.jit(jax.jacfwd(example_losses, has_aux=True))
    at_optimum, losses = slopes_and_losses(jnp.array([mean, std]))
    away, _ = slopes_and_losses(jnp.array([mean + 0.3, std + 0.2]))
    for name in weightings.WEIGHTINGS:
        slope, elsewhere = np.asarray(at_optimum[name]), np.asarray(away[name])  # [n, 2]
        assert (np.abs(slope.mean(0)) < 4 * slope.std(0) / np.sqrt(n)).all(), name
        assert (np.abs(elsewhere.mean(0)) > 8 * elsewhere.std(0) / np.sqrt(n)).all(), name
        assert losses[name].mean() > 0, name


def test_edm_loss_of_a_zero_network_is_one_at_every_noise_level(x64):
    """lambda(sigma) c_out(sigma)^2 = 1, so with F = 0 the loss is E|F_target|^2 = 1 (Karras)."""
    sde, sigma_data, n = EDM(), 0.5, 1 << 16
    edm, weighting = PARAMETRIZATIONS["edm"](sigma_data), weightings.edm_weighting(sigma_data)
    zero = from_network(
        lambda x, label, cond: jnp.zeros_like(x), sde, edm, NOISE_LABELS["log_sigma"]
    )
    x0 = sigma_data * jax.random.normal(jax.random.key(0), (n, 1))

    @jax.jit
    def loss_at(sigma):
        return denoising.denoising_score_matching(
            jax.random.key(1),
            zero,
            sde,
            x0,
            times=lambda sde, u: (jnp.full_like(u, sigma), jnp.ones_like(u)),
            weighting=weighting,
        )

    for sigma in (0.01, 0.2, 1.0, 40.0):
        loss = np.asarray(loss_at(sigma))
        assert abs(loss.mean() - 1) < 4 * loss.std() / np.sqrt(n)
    t = jnp.geomspace(sde.t_min, sde.t_max, 9)
    c_out = t * sigma_data / jnp.sqrt(t**2 + sigma_data**2)
    np.testing.assert_allclose(weighting.weight(sde, t) * c_out**2, 1, rtol=1e-12)


def test_loss_is_a_function_of_the_key_and_passes_the_condition():
    seen = []

    def denoise(x, t, cond=None):
        seen.append(cond)
        return Prediction(x, x)

    loss = functools.partial(
        denoising.denoising_score_matching,
        denoise=denoise,
        sde=VP(),
        x0=jnp.ones((4, 2)),
        times=times.uniform_times(),
        weighting=weightings.simple_weighting(),
    )
    first, again = loss(jax.random.key(0), cond="digit"), loss(jax.random.key(0))
    assert seen == ["digit", None]
    assert first.shape == (4,)
    np.testing.assert_array_equal(first, again)
    assert (first != loss(jax.random.key(1))).all()
    chosen = denoising.denoising_score_matching(jax.random.key(0), denoise, VP(), jnp.ones((4, 2)))
    np.testing.assert_array_equal(first, chosen)  # uniform times and L_simple are the defaults


def test_the_standard_deviation_of_the_data_is_that_of_the_weighting(x64):
    """At lambda = 1 / s_d^2 + alpha^2 / sigma^2 on x0: Karras et al. 2022, s_d = 0.4."""
    t, sde = jnp.linspace(0.1, 0.9, 5), VP()
    weighting = denoising.Denoising(weighting="edm", sigma_data=0.4)._weighting()
    expected = 1 / 0.4**2 + (sde.alpha(t) / sde.sigma(t)) ** 2
    np.testing.assert_allclose(weighting.weight(sde, t), expected, rtol=1e-12)


def test_unknown_quantity_is_an_error():
    with pytest.raises(ValueError, match="unknown quantity 'noise'; choose from x0, eps"):
        weightings.uniform_weighting("noise")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"quantity": "x0"}, "quantity is of weighting=uniform, not of weighting=simple"),
        ({"time_mean": 0.0}, "time_mean is of times=log_normal or logit_normal, not of times=unif"),
        ({"times": "importance", "time_std": 1.0}, "time_std is of times=log_normal or"),
        ({"times": "discrete", "t_min": 1e-3}, "t_min is of times=uniform or importance, not of"),
    ],
)
def test_an_option_of_another_choice_is_an_error(options, message):
    with pytest.raises(ValueError, match=message):
        denoising.Denoising(**options)


@pytest.mark.parametrize("name", ["log_normal", "logit_normal"])
def test_the_distributions_keep_their_own_defaults(name):
    """(-1.2, 1.2) of Karras et al. 2022, and (0, 1) of Esser et al. 2024."""
    u, sde = jnp.linspace(0.01, 0.99, 9), VP()
    chosen = denoising.Denoising(times=name)._times()
    own = {"log_normal": (-1.2, 1.2), "logit_normal": (0.0, 1.0)}[name]
    np.testing.assert_array_equal(chosen(sde, u)[0], times.TIMES[name](*own)(sde, u)[0])
    given = denoising.Denoising(times=name, time_mean=0.3, time_std=0.5)._times()
    np.testing.assert_array_equal(given(sde, u)[0], times.TIMES[name](0.3, 0.5)(sde, u)[0])
