"""The parametrisations round-trip with each other, and agree with their defining formulas."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from score_sde.noise_labels import NOISE_LABELS, nearest_level
from score_sde.prediction import (
    PARAMETRIZATIONS,
    Prediction,
    PredictionOptions,
    from_network,
)
from score_sde.processes import DDPM, EDM, VE, VP, CosineVP, Masked, RectifiedFlow, SubVP

SDES = [VP(), SubVP(), VE(), EDM(), CosineVP(), RectifiedFlow()]
each_sde = pytest.mark.parametrize("sde", SDES, ids=lambda sde: type(sde).__name__)
each_parametrization = pytest.mark.parametrize("name", PARAMETRIZATIONS)


def example(sde, batch=9):
    """Random data, noise and times, and the state that belongs to them."""
    x0, eps = jax.random.normal(jax.random.key(0), (2, batch, 4, 3))
    t = jnp.linspace(sde.t_min, sde.t_max, batch)
    x = sde.alpha(t)[:, None, None] * x0 + sde.sigma(t)[:, None, None] * eps
    return x, t, Prediction(x0, eps)


@each_sde
@each_parametrization
def test_output_and_prediction_are_inverse(x64, sde, name):
    x, t, truth = example(sde)
    parametrization = PARAMETRIZATIONS[name]()
    output = parametrization.output(sde, t, truth)
    found = parametrization.prediction(sde, x, t, output)
    # At t_max of VE and EDM alpha x0 is a 1e-3 part of x, which costs as many digits.
    np.testing.assert_allclose(found.x0, truth.x0, rtol=1e-8, atol=1e-9)
    np.testing.assert_allclose(found.eps, truth.eps, rtol=1e-8, atol=1e-9)


@each_sde
@each_parametrization
def test_any_output_gives_a_consistent_pair(x64, sde, name):
    x, t, _ = example(sde)
    output = jax.random.normal(jax.random.key(1), x.shape)
    pair = PARAMETRIZATIONS[name]().prediction(sde, x, t, output)
    rebuilt = sde.alpha(t)[:, None, None] * pair.x0 + sde.sigma(t)[:, None, None] * pair.eps
    np.testing.assert_allclose(rebuilt, x, rtol=1e-8, atol=1e-8)


@each_sde
def test_velocity_is_the_drift_of_the_probability_flow_ode(x64, sde):
    """Song et al. 2021, equation 13: dx/dt = f x - 1/2 g^2 score."""
    x, t, pair = example(sde)
    g2 = sde.g2(t)[:, None, None]
    expected = sde.drift(x, t) - 0.5 * g2 * pair.score(sde, t)
    np.testing.assert_allclose(pair.velocity(sde, t), expected, rtol=1e-8, atol=1e-8)


def test_score_is_minus_eps_over_sigma(x64):
    sde = SubVP()
    _, t, pair = example(sde)
    np.testing.assert_allclose(pair.score(sde, t) * sde.sigma(t)[:, None, None], -pair.eps)


def test_edm_preconditioning_is_karras_table_1(x64):
    sde, sigma_data = EDM(), 0.5
    x, t, _ = example(sde)
    raw = jax.random.normal(jax.random.key(2), x.shape)
    edm = PARAMETRIZATIONS["edm"](sigma_data)
    s = t[:, None, None]
    c_skip = sigma_data**2 / (s**2 + sigma_data**2)
    c_out = s * sigma_data / jnp.sqrt(s**2 + sigma_data**2)
    np.testing.assert_allclose(edm.prediction(sde, x, t, raw).x0, c_skip * x + c_out * raw, 1e-10)
    np.testing.assert_allclose(edm.input_scale(sde, t), 1 / jnp.sqrt(t**2 + sigma_data**2))
    np.testing.assert_allclose(NOISE_LABELS["log_sigma"](sde, t), jnp.log(t) / 4, rtol=1e-10)


def test_edm_preconditioning_does_not_depend_on_the_frame(x64):
    """VP at (alpha x, alpha s) is the EDM frame at (x, s): the same network, the same x0."""
    vp, frame, edm = VP(), EDM(), PARAMETRIZATIONS["edm"](0.7)
    t = jnp.linspace(0.01, 1.0, 5)
    s = vp.sigma(t) / vp.alpha(t)
    x = jax.random.normal(jax.random.key(3), (5, 2)) * s[:, None]

    def network(x, label, cond):
        return jnp.tanh(x) + label[:, None]

    in_vp = from_network(network, vp, edm, NOISE_LABELS["log_sigma"])(vp.alpha(t)[:, None] * x, t)
    in_frame = from_network(network, frame, edm, NOISE_LABELS["log_sigma"])(x, s)
    np.testing.assert_allclose(in_vp.x0, in_frame.x0, rtol=1e-9)
    np.testing.assert_allclose(in_vp.eps, in_frame.eps, rtol=1e-9)


def test_from_network_passes_labels_and_condition(x64):
    sde = VE()
    x, t, _ = example(sde)
    seen = {}

    def network(x, label, cond):
        seen.update(label=label, cond=cond)
        return x

    from_network(network, sde, PARAMETRIZATIONS["eps"](), NOISE_LABELS["sigma"])(x, t, "class 3")
    np.testing.assert_allclose(seen["label"], sde.sigma(t))
    assert seen["cond"] == "class 3"
    np.testing.assert_allclose(NOISE_LABELS["time"](sde, t), 999 * t)
    angle = NOISE_LABELS["angle"](sde, t)
    np.testing.assert_allclose(jnp.tan(jnp.pi / 2 * angle), sde.sigma(t) / sde.alpha(t))
    np.testing.assert_allclose(NOISE_LABELS["angle"](CosineVP(), t), t)
    least = jnp.array([0.0, 0.5, 0.9999, 1.0])
    total = [0, np.log(2), np.log(1000), np.log(1000)]
    np.testing.assert_allclose(NOISE_LABELS["total_noise"](Masked(), least), total, atol=1e-9)


def test_channels_beyond_those_of_the_data_are_not_read(x64):
    """A network that says its variance as well is read as one that does not."""
    sde = VP()
    x, t, _ = example(sde)
    network = lambda x, label, cond: jnp.concatenate([x, 7 * x], axis=-1)  # noqa: E731
    pair = from_network(network, sde, PARAMETRIZATIONS["eps"](), NOISE_LABELS["time"])(x, t)
    np.testing.assert_array_equal(pair.eps, x)


@pytest.mark.parametrize("sde", [DDPM(), DDPM(schedule="cosine"), DDPM(zero_terminal_snr=True)])
def test_the_nearest_level_is_that_of_sigma_over_alpha(x64, sde):
    """Table 1 of Karras et al. 2022: a level for itself, and else the arg min of |sigma - u|."""
    with np.errstate(divide="ignore"):
        u = sde.sigma(np.arange(1000) / 999) / sde.alpha(np.arange(1000) / 999)
    t = np.linspace(1e-5, 0.997, 50)
    far = np.abs(sde.sigma(t)[:, None] / sde.alpha(t)[:, None] - u[None])
    np.testing.assert_array_equal(nearest_level(sde, jnp.asarray(t)), far.argmin(axis=1))
    levels = jnp.arange(0, 1000, 37)
    np.testing.assert_array_equal(nearest_level(sde, levels / 999.0), levels)


def test_other_counts_of_levels_and_of_time(x64):
    """Of level i of N at t = i / (N - 1): i + 1, and 1000 i / N; and 1 - t."""
    levels = np.arange(0, 4000, 37)
    sde, t = DDPM(scales=4000), jnp.asarray(levels / 3999)
    np.testing.assert_allclose(NOISE_LABELS["level_from_one"](sde, t), levels + 1, rtol=1e-12)
    np.testing.assert_allclose(NOISE_LABELS["level_per_thousand"](sde, t), levels / 4, atol=1e-9)
    np.testing.assert_allclose(NOISE_LABELS["reversed_time"](sde, t), 1 - t)
    for label in ("level_from_one", "level_per_thousand"):
        with pytest.raises(ValueError, match=f"noise_label={label} needs a discrete sequence"):
            PredictionOptions(noise_label=label).denoiser(VP())


@each_sde
@each_parametrization
def test_float32_is_finite_at_both_ends(sde, name):
    x, t, _ = example(sde)
    parametrization = PARAMETRIZATIONS[name]()
    pair = parametrization.prediction(sde, x, t, jnp.ones_like(x))
    for value in (*pair, pair.score(sde, t), pair.velocity(sde, t), pair.v(sde, t)):
        assert value.dtype == jnp.float32
        assert jnp.isfinite(value).all()


def test_the_options_of_a_config_name_the_denoiser(x64):
    """EDM's of data with s_d = 0.4: a network of zeros leaves c_skip x, with what it is called."""
    sde, seen = VP(), []
    options = PredictionOptions("edm", "log_sigma", 0.4)
    x, t = jnp.ones((3, 2)), jnp.array([0.1, 0.5, 0.9])

    def network(x, label, cond):
        seen.append(label)
        return jnp.zeros_like(x)

    found = options.denoiser(sde)(network)(x, t).x0
    alpha, sigma = sde.alpha(t), sde.sigma(t)
    skip = alpha * 0.4**2 / (sigma**2 + (alpha * 0.4) ** 2)
    np.testing.assert_allclose(found, skip[:, None] * x, rtol=1e-12)
    np.testing.assert_allclose(seen[0], jnp.log(sigma / alpha) / 4, rtol=1e-12)
