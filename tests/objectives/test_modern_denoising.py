"""The weightings and time distributions of today against golden numbers and their closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy.special import ndtr

from score_sde.objectives import denoising, times, weightings
from score_sde.objectives.denoising import Denoising
from score_sde.processes import EDM, VP, RectifiedFlow

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def golden(shared):
    return np.load(shared / "golden" / "modern" / "objectives.npz")


def on_x0(weighting, sde, t):
    """lambda as a factor on the squared error of x0, whose multiples the other errors are."""
    factor = {
        "x0": 1.0,
        "eps": (sde.alpha(t) / sde.sigma(t)) ** 2,
        "velocity": (sde.alpha_dot(t) - sde.alpha(t) * sde.sigma_dot(t) / sde.sigma(t)) ** 2,
    }
    return weighting.weight(sde, t) * factor[weighting.quantity]


def test_edm_weighting_is_the_golden_loss(x64, golden):
    images, sigma = golden["edm/images"], np.exp(1.2 * golden["edm/rnd_normal"] - 1.2)
    noisy = images + sigma * golden["edm/noise"]
    denoised = 0.3 * np.tanh(noisy) + 0.1 * np.cos(sigma)
    weight = weightings.edm_weighting(0.5).weight(EDM(), jnp.asarray(sigma))
    np.testing.assert_allclose(weight * (denoised - images) ** 2, golden["edm/loss"], rtol=1e-10)


def test_min_snr_is_golden_in_every_quantity(x64, golden):
    """min(SNR, 5) on x0, over SNR on eps, over SNR + 1 on v: at the SNR of DDPM's levels."""
    snr = jnp.asarray(golden["minsnr/snr"], jnp.float64)
    weighting = weightings.min_snr_weighting(float(golden["minsnr/gamma"]))
    for sde, t in ((EDM(t_min=1e-3), snr**-0.5), (VP(), VP().time_at_log_snr(jnp.log(snr)))):
        weight = weighting.weight(sde, t)
        np.testing.assert_allclose(weight, golden["minsnr/weight_eps"], rtol=1e-6)
        np.testing.assert_allclose(weight * snr / (snr + 1), golden["minsnr/weight_v"], rtol=1e-6)
        np.testing.assert_allclose(on_x0(weighting, sde, t), golden["minsnr/weight_x0"], rtol=1e-6)


def test_soft_min_snr_is_golden(x64, golden):
    """k-diffusion's weights are of the preconditioned target: over c_out^2 they are of x0."""
    sigma = jnp.asarray(golden["minsnr/sigma"])
    c_out2 = 0.25 * sigma**2 / (sigma**2 + 0.25)
    soft = on_x0(weightings.soft_min_snr_weighting(1 / 0.25), EDM(), sigma)
    np.testing.assert_allclose(soft * c_out2, golden["minsnr/soft_min_snr"], rtol=1e-10)
    simple = on_x0(weightings.simple_weighting(), EDM(), sigma)
    np.testing.assert_allclose(simple * c_out2, golden["minsnr/kdiff_snr"], rtol=1e-10)


def test_sd3_weights_are_the_velocity_and_the_density_of_the_cosine(x64, golden):
    """sigma^-2 on x0 is 1 on the velocity; CosMap is the density of t under the cosine's times."""
    flow, sigma = RectifiedFlow(), jnp.asarray(golden["sd3/sigma"])
    velocity = on_x0(weightings.uniform_weighting("velocity"), flow, sigma)
    np.testing.assert_allclose(velocity, golden["sd3/weight_sigma_sqrt"], rtol=1e-6)
    u = 1 - 2 / jnp.pi * jnp.arctan((1 - sigma) / sigma)  # where the cosine's SNR is the flow's
    draw = lambda u: times.cosine_log_snr_times()(flow, u)[0]  # noqa: E731
    np.testing.assert_allclose(draw(u), sigma, rtol=1e-12)
    slope = jax.vmap(jax.grad(lambda u: draw(u)))(u)
    np.testing.assert_allclose(1 / slope, golden["sd3/weight_cosmap"], rtol=1e-9)


def test_sd3_times_are_golden(x64, golden):
    flow = RectifiedFlow()

    def unscaled(t):
        return (t - flow.t_min) / (flow.t_max - flow.t_min)

    t, c = times.logit_normal_times(0.2, 1.1)(flow, ndtr(golden["sd3/logit_normal_draw"]))
    np.testing.assert_allclose(unscaled(t), golden["sd3/logit_normal"], rtol=1e-9)
    assert (c == 1).all()
    t, _ = times.mode_times(1.29)(flow, jnp.asarray(golden["sd3/mode_draw"]))
    np.testing.assert_allclose(unscaled(t), golden["sd3/mode"], rtol=1e-9)


def test_sigmoid_times_have_the_log_snr_of_the_schedule(x64):
    """gamma(u) = (s(3/T) - s((6 u - 3)/T)) / (s(3/T) - s(-3/T)), SNR = gamma / (1 - gamma)."""
    u = jnp.linspace(0.01, 0.99, 9)
    for temperature in (0.7, 1.0):
        t, _ = times.sigmoid_log_snr_times(temperature)(EDM(), u)
        s = lambda x, T=temperature: jax.nn.sigmoid(x / T)  # noqa: E731
        gamma = (s(3.0) - s(6 * u - 3)) / (s(3.0) - s(-3.0))
        np.testing.assert_allclose(EDM().log_snr(t), jnp.log(gamma / (1 - gamma)), atol=1e-9)


def test_the_shift_is_the_formula_of_each_paper(x64):
    """SD3 on a flow: m t / (1 + (m - 1) t); the cosine: log SNR + 2 log(64 / d), on any process."""
    u, m = jnp.linspace(0.05, 0.95, 7), 3.0
    plain, _ = times.mode_times()(RectifiedFlow(), u)
    shifted, _ = times.shifted_times(times.mode_times(), m)(RectifiedFlow(), u)
    np.testing.assert_allclose(shifted, m * plain / (1 + (m - 1) * plain), rtol=1e-9)
    for sde in (VP(), EDM()):
        t, _ = Denoising(times="cosine_log_snr", time_shift=256 / 64)._times()(sde, u)
        expected = -2 * jnp.log(jnp.tan(jnp.pi * u / 2)) + 2 * jnp.log(64 / 256)
        np.testing.assert_allclose(sde.log_snr(t), expected, rtol=1e-7, atol=1e-7)


def test_p2_and_sigmoid_weightings_are_their_formulas(x64):
    sde, t = VP(), jnp.linspace(0.05, 0.95, 7)
    snr = (sde.alpha(t) / sde.sigma(t)) ** 2
    p2 = weightings.p2_weighting(gamma=0.5, k=2.0).weight(sde, t)
    np.testing.assert_allclose(p2, 1 / jnp.sqrt(2 + snr), rtol=1e-9)
    sigmoid = weightings.sigmoid_weighting(bias=1.0).weight(sde, t)
    slope = jax.vmap(jax.grad(sde.log_snr))(t)
    np.testing.assert_allclose(sigmoid, -slope / (1 + snr * jnp.exp(-1.0)), rtol=1e-9)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"snr_gamma": 5.0}, "snr_gamma is of weighting=min_snr or soft_min_snr, not of weighting"),
        ({"weighting": "min_snr", "p2_k": 1.0}, "p2_k is of weighting=p2, not of weighting=min_"),
        ({"weighting": "p2", "sigmoid_bias": 1.0}, "sigmoid_bias is of weighting=sigmoid, not of"),
        ({"time_scale": 1.0}, "time_scale is of times=mode, not of times=uniform"),
        ({"time_temperature": 1.0}, "time_temperature is of times=sigmoid_log_snr, not of times="),
        ({"times": "importance", "time_shift": 2.0}, "time_shift is of times=uniform or log_norm"),
        ({"times": "mode", "time_scale": 2.0}, "time_scale=2.0 must be at least -1 and at most 1"),
        ({"weighting": "min_snr", "snr_gamma": 0.0}, "snr_gamma=0.0 must be above 0"),
    ],
)
def test_an_option_of_another_choice_is_an_error(options, message):
    with pytest.raises(ValueError, match=message):
        Denoising(**options)


def test_options_reach_what_they_are_of(x64):
    sde, t, u = VP(), jnp.linspace(0.1, 0.9, 5), jnp.linspace(0.1, 0.9, 5)
    objective = Denoising(
        weighting="p2", p2_gamma=0.5, p2_k=2.0, times="sigmoid_log_snr", time_temperature=0.5
    )
    expected = weightings.p2_weighting(0.5, 2.0).weight(sde, t)
    np.testing.assert_array_equal(objective._weighting().weight(sde, t), expected)
    drawn = times.sigmoid_log_snr_times(0.5)(sde, u)[0]
    np.testing.assert_array_equal(objective._times()(sde, u)[0], drawn)
    assert denoising.TIMES.keys() >= {"mode", "cosine_log_snr", "sigmoid_log_snr"}
