"""Inpainting and colorization against the exact posterior of a Gaussian, for every process."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from one_program import any_of, as_argument
from sampler_oracles import gaussian_flow

import score_sde
from score_sde import analytic, guidance, samplers
from score_sde.processes import CONTINUOUS

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("well_compiled")]

KEY = jax.random.key(0)
SAMPLES = 4096
PROCESSES = tuple(make() for make in CONTINUOUS.values())
each_sde = pytest.mark.parametrize("sde", PROCESSES, ids=list(CONTINUOUS))

MEAN = np.array([0.2, -0.3, 0.1, 0.4])
STD = np.array([0.5, 0.7, 0.4, 0.6])
CORRELATION = np.array(
    [[1.0, 0.8, 0.5, 0.3], [0.8, 1.0, 0.6, 0.4], [0.5, 0.6, 1.0, 0.7], [0.3, 0.4, 0.7, 1.0]]
)
COVARIANCE = STD[:, None] * CORRELATION * STD
PIXELS = guidance.Inpainting(
    known=np.array([[0.9, np.nan, -0.4, np.nan]]), mask=np.array([[True, False, True, False]])
)
# One pixel of three channels, whose mean is known: the first row of BASIS, times sqrt(3).
GRAY = guidance.Colorization(np.full((1, 1, 1, 1), 0.5))
BASIS = np.array([[1, 1, 1], [1, -1, 0], [1, 1, -2]]) / np.sqrt([[3.0], [2.0], [6.0]])

# Langevin's bias falls with t and is below 0.5 % here; so is what remains of the conditioning's.
EXACT = samplers.get(
    "predictor_corrector",
    predictor="ancestral",
    grid="log_snr",
    steps=250,
    snr=0.5,
    corrector_steps=20,
)
PREDICTOR = samplers.get("predictor_corrector", predictor="ancestral", corrector="none", steps=50)
RK45 = samplers.get("rk45", rtol=1e-11, atol=1e-11)


def prior(sde, *shape):
    return sde.prior_sample(jax.random.key(1), shape, jnp.float64)


def correlated(sde):
    return analytic.correlated_gaussian(sde, MEAN, COVARIANCE)


def independent(sde):
    return analytic.correlated_gaussian(sde, MEAN, np.diag(STD**2))


def colours(sde):
    return analytic.correlated_gaussian(sde, MEAN[:3].reshape(1, 1, 3), COVARIANCE[:3, :3])


@functools.partial(jax.jit, static_argnames="data")
def run(sampler, data, sde, observation, x):
    if observation is None:
        return sampler(KEY, data(sde), sde, x_init=x).x
    x_init = observation.start(sde, x)
    return sampler(KEY, observation.condition(data(sde), sde), sde, x_init=x_init).x


def sample(sampler, data, sde, observation, x):
    """From a draw of the prior; the known part, if there is one, is not put in at the end."""
    return run(as_argument(sampler, sde), data, any_of(sde, PROCESSES), observation, x)


def posterior(mean, covariance, h, y):
    """Of x ~ N(mean, covariance) given h x = y: mean and covariance."""
    gain = covariance @ h.T @ np.linalg.inv(h @ covariance @ h.T)
    return mean + gain @ (y - h @ mean), covariance - gain @ h @ covariance


def assert_distributed(x, mean, covariance, standard_errors=3):
    """The mean and every entry of the covariance of x [n, d]."""
    n, error = len(x), np.asarray(x) - mean
    variance = np.diag(covariance)
    assert np.all(np.abs(error.mean(0)) < standard_errors * np.sqrt(variance / n))
    tolerance = np.sqrt((np.outer(variance, variance) + covariance**2) / n)
    assert np.all(np.abs(error.T @ error / n - covariance) < standard_errors * tolerance)


@pytest.mark.parametrize("sde", PROCESSES[:1] + PROCESSES[2:3] + PROCESSES[5:6])
def test_inpainting_draws_from_the_posterior(x64, sde):
    """Two of four strongly correlated coordinates are known; 3 standard errors of 4096 draws."""
    x = PIXELS.finish(sample(EXACT, correlated, sde, PIXELS, prior(sde, SAMPLES, 4)))
    known, unknown = np.eye(4)[[0, 2]], np.eye(4)[[1, 3]]
    mean, covariance = posterior(MEAN, COVARIANCE, known, np.array([0.9, -0.4]))
    assert_distributed(x @ unknown.T, unknown @ mean, unknown @ covariance @ unknown.T)
    assert np.all(x[:, [0, 2]] == np.array([[0.9, -0.4]]))


def test_colorization_draws_from_the_posterior(x64):
    """The mean of three correlated channels is known; 3 standard errors of 4096 draws."""
    sde, mean, covariance = score_sde.VE(), MEAN[:3], COVARIANCE[:3, :3]
    x = GRAY.finish(sample(EXACT, colours, sde, GRAY, prior(sde, SAMPLES, 1, 1, 3)))
    mean, covariance = posterior(mean, covariance, np.full((1, 3), 1 / 3), np.array([0.5]))
    unknown = BASIS[1:]
    assert_distributed(x[:, 0, 0] @ unknown.T, unknown @ mean, unknown @ covariance @ unknown.T)
    np.testing.assert_allclose(x.mean(-1), 0.5, rtol=1e-14)


@each_sde
def test_independent_coordinates_are_exact_for_the_ode(x64, sde):
    """The unknown part is Gaussian's flow in closed form; the known one alpha y + sigma z."""
    x = prior(sde, 8, 4)
    out = sample(RK45, independent, sde, PIXELS, x)
    expected = gaussian_flow(sde, x, MEAN[None], STD[None])
    np.testing.assert_allclose(out[:, [1, 3]], expected[:, [1, 3]], rtol=1e-7)
    t_min = jnp.asarray(sde.t_min)
    known = sde.alpha(t_min) * PIXELS.known + sde.sigma(t_min) * x / sde.prior_std
    np.testing.assert_allclose(out[:, [0, 2]], known[:, [0, 2]], atol=1e-8)


@each_sde
def test_independent_coordinates_do_not_hear_of_each_other(x64, sde):
    """The unknown part is that of an unconditional sample with the same key, to rounding."""
    x = prior(sde, 8, 4)
    free = sample(PREDICTOR, independent, sde, None, x)
    bound = sample(PREDICTOR, independent, sde, PIXELS, x)
    np.testing.assert_allclose(bound[:, [1, 3]], free[:, [1, 3]], rtol=1e-9)
    assert np.abs(bound[:, [0, 2]] - free[:, [0, 2]]).min() > 1e-3


@each_sde
def test_start_is_the_prior_in_the_unknown_and_the_noised_observation_in_the_known(x64, sde):
    """Mean and covariance of the start in an orthonormal basis of colours; it is linear in x."""

    def start(x):
        return BASIS @ GRAY.start(sde, x.reshape(1, 1, 1, 3)).ravel()

    jacobian = sde.prior_std * jax.jacobian(start)(jnp.zeros(3))
    t_max = jnp.asarray(sde.t_max)
    gray = np.sqrt(3) * 0.5  # the coordinate along (1, 1, 1) / sqrt(3)
    np.testing.assert_allclose(start(jnp.zeros(3)), [sde.alpha(t_max) * gray, 0, 0], atol=1e-14)
    variances = [sde.sigma(t_max) ** 2, sde.prior_std**2, sde.prior_std**2]
    np.testing.assert_allclose(jacobian @ jacobian.T, np.diag(variances), atol=1e-9)


@pytest.mark.parametrize("observation", [GRAY, guidance.Inpainting(np.full((1, 1, 1, 3), 0.5), 1)])
def test_predictions_are_consistent_and_know_what_is_known(x64, observation):
    """x = alpha x0 + sigma eps everywhere, x0 = y in the known part, the model's in the rest."""
    sde, t = score_sde.SubVP(), jnp.array([0.2, 0.7])
    denoise = colours(sde)
    x = jax.random.normal(KEY, (2, 1, 1, 3))
    free, bound = denoise(x, t), observation.condition(denoise, sde)(x, t)
    alpha, sigma = sde.alpha(t).reshape(2, 1, 1, 1), sde.sigma(t).reshape(2, 1, 1, 1)
    np.testing.assert_allclose(alpha * bound.x0 + sigma * bound.eps, x, atol=1e-12)
    np.testing.assert_allclose(bound.x0.mean(-1), 0.5, rtol=1e-12)
    np.testing.assert_allclose(observation.replace(bound.x0, free.x0), free.x0, atol=1e-12)


def test_condition_hands_on_the_condition_and_keeps_the_dtype(x64):
    def denoise(x, t, cond=None):
        return score_sde.Prediction(x + cond, x)

    x = jnp.zeros((2, 4), jnp.float32)
    bound = PIXELS.condition(denoise, score_sde.VE())(x, jnp.float32(0.5), jnp.float32(3))
    assert bound.x0.dtype == bound.eps.dtype == PIXELS.start(score_sde.VE(), x).dtype == x.dtype
    np.testing.assert_allclose(bound.x0[:, [1, 3]], 3)


CODE = """
import jax, numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from score_sde import VE, guidance, samplers
from sampler_oracles import mixture

with jax.enable_x64(True):
    mesh = jax.make_mesh(
        (4,), ("data",), axis_types=(AxisType.Auto,), devices=jax.devices()[:4]
    )
    sde, key = VE(), jax.random.key(0)
    sharding = NamedSharding(mesh, PartitionSpec("data"))
    x = sde.prior_sample(key, (8, 2))
    known = np.linspace(0, 1, 16).reshape(8, 2)
    observation = guidance.Inpainting(known, np.array([[True, False]]))
    shared = guidance.Inpainting(jax.device_put(known, sharding), observation.mask)

    @jax.jit
    def run(observation, x):
        denoise = observation.condition(mixture(sde), sde)
        sampler = samplers.get("predictor_corrector", steps=20)
        return observation.finish(sampler(key, denoise, sde, x_init=observation.start(sde, x)).x)

    whole, parts = run(observation, x), run(shared, jax.device_put(x, sharding))
    assert whole.dtype == np.float64
    assert parts.sharding.is_equivalent_to(sharding, 2), parts.sharding
    np.testing.assert_allclose(whole, parts, rtol=1e-9)
"""


def test_sharded_batch(eight_devices):
    """Four devices, each with a part of the batch and of the observation, as one."""
    eight_devices.execute(CODE, "sharded")
