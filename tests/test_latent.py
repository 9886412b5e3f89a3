"""Latent codes: closed forms of a Gaussian, round trips, the prior, and what is done to codes."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from one_program import any_of
from sampler_oracles import MEANS, STDS, WEIGHTS, gaussian_flow, mixture

import score_sde
from score_sde import analytic, latent, samplers
from score_sde.processes import CONTINUOUS

pytestmark = pytest.mark.slow

KEY = jax.random.key(0)
TIGHT = {"rtol": 1e-10, "atol": 1e-10}
PROCESSES = tuple(make() for make in CONTINUOUS.values())
each_sde = pytest.mark.parametrize("sde", PROCESSES, ids=list(CONTINUOUS))


def gaussian(sde):
    return analytic.gaussian(sde, np.array([0.3]), 0.5)


@functools.partial(jax.jit, static_argnames="data")
def run_encode(data, sde, x):
    return latent.encode(data(sde), sde, x, **TIGHT)


@functools.partial(jax.jit, static_argnames="data")
def run_decode(data, sde, z):
    return samplers.get("rk45", **TIGHT)(KEY, data(sde), sde, x_init=z).x


def encode(data, sde, x):
    """The codes of x; data is what makes the denoiser of a process."""
    return run_encode(data, any_of(sde, PROCESSES), x)


def decode(data, sde, z):
    return run_decode(data, any_of(sde, PROCESSES), z)


def draws(number):
    """From the mixture, [number, 2]."""
    key_mode, key_noise = jax.random.split(KEY)
    mode = jax.random.choice(key_mode, 2, (number,), p=jnp.asarray(WEIGHTS))
    noise = jax.random.normal(key_noise, (number, 2))
    return jnp.asarray(MEANS)[mode] + jnp.asarray(STDS)[mode, None] * noise


@each_sde
def test_the_code_of_a_gaussian_is_its_flow_backwards(x64, sde):
    """gaussian_flow, the closed form from t_max to t_min, takes the code back to the data."""
    x = jnp.array([[-1.2], [0.3], [0.9]])
    z = encode(gaussian, sde, x)
    np.testing.assert_allclose(gaussian_flow(sde, z, 0.3, 0.5), x, atol=1e-8)


@each_sde
def test_encode_then_decode_returns_the_input(x64, sde):
    x = draws(16)
    z = encode(mixture, sde, x)
    assert np.abs(z - x).min() > 1e-3
    np.testing.assert_allclose(decode(mixture, sde, z), x, atol=1e-7)


def test_codes_of_data_are_draws_from_the_prior(x64):
    """4096 of them; mean, second moments and mean fourth power within 3 standard errors."""
    sde, n = score_sde.VP(), 4096
    x = draws(n) + sde.sigma(sde.t_min) * jax.random.normal(jax.random.key(1), (n, 2))
    z = np.asarray(jax.jit(lambda x: latent.encode(mixture(sde), sde, x))(x))
    second = [z[:, 0] ** 2 - 1, z[:, 1] ** 2 - 1, z[:, 0] * z[:, 1]]
    values = np.stack([*z.T, *second, *(z**4 - 3).T], 1)
    assert np.all(np.abs(values.mean(0)) < 3 * values.std(0) / np.sqrt(n))


def test_encode_hands_on_the_condition_and_keeps_the_dtype(x64):
    sde = score_sde.VE()
    x = jnp.array([[0.1], [0.7]], jnp.float32)

    def denoise(x, t, cond=None):
        return analytic.gaussian(sde, cond, 0.5)(x, t)

    run = jax.jit(lambda x: latent.encode(denoise, sde, x, cond=np.array([0.3])))
    z = run(x)
    assert z.dtype == jnp.float32
    exact = encode(gaussian, sde, jnp.array([[0.1], [0.7], [0.9]]))
    np.testing.assert_allclose(z, exact[:2], rtol=1e-3)


def test_pixels_are_no_data():
    with pytest.raises(ValueError, match="floating dtype, in the model's range, not uint8"):
        latent.encode(mixture(score_sde.VP()), score_sde.VP(), jnp.zeros((2, 2), jnp.uint8))


def test_unsolved_is_an_error():
    with pytest.raises(RuntimeError, match="not solved in max_steps=3 steps"):
        latent.encode(mixture(score_sde.VP()), score_sde.VP(), jnp.zeros((2, 2)), max_steps=3)


def test_interpolation_walks_the_arc_at_constant_speed(x64):
    """Ends, norms and equal angles between neighbours, for each example by itself."""
    z0, z1 = jax.random.normal(KEY, (2, 3, 4, 5))
    z1 = z1 * (jnp.linalg.norm(z0, axis=(1, 2)) / jnp.linalg.norm(z1, axis=(1, 2)))[:, None, None]
    path = latent.interpolate(z0, z1, 7)
    assert path.shape == (7, 3, 4, 5)
    np.testing.assert_allclose(path[0], z0, atol=1e-14)
    np.testing.assert_allclose(path[-1], z1, atol=1e-14)
    flat = np.asarray(path).reshape(7, 3, 20)
    norm = np.linalg.norm(flat, axis=-1)
    np.testing.assert_allclose(norm, np.broadcast_to(norm[0], norm.shape))
    unit = flat / norm[..., None]
    step = np.arccos((unit[1:] * unit[:-1]).sum(-1))
    whole = np.arccos((unit[0] * unit[-1]).sum(-1))
    np.testing.assert_allclose(step, np.broadcast_to(whole / 6, step.shape))


def test_the_arc_between_unequal_norms_is_shoemakers(x64):
    """Perpendicular codes: cos(w pi / 2) z0 + sin(w pi / 2) z1."""
    path = latent.interpolate(jnp.array([[3.0, 0.0]]), jnp.array([[0.0, 5.0]]), 3)
    np.testing.assert_allclose(path[1, 0], [3 / np.sqrt(2), 5 / np.sqrt(2)])


@pytest.mark.parametrize("distance", [0, 1e-300, 1e-12, 1e-6])
def test_nearly_parallel_codes_are_joined_by_a_line(x64, distance):
    z0 = jnp.array([[1.0, 2.0, 3.0]])
    z1 = z0 + distance * jnp.array([[1.0, -1.0, 0.0]])
    path = latent.interpolate(z0, z1, 5)
    line = z0[None] + np.linspace(0, 1, 5)[:, None, None] * (z1 - z0)[None]
    np.testing.assert_allclose(path, line, rtol=1e-12)


def test_interpolation_needs_two_ends():
    with pytest.raises(ValueError, match="at least 2"):
        latent.interpolate(jnp.ones((1, 2)), jnp.ones((1, 2)), 1)


@pytest.mark.parametrize("sde", [score_sde.VP(), score_sde.VE()], ids=["vp", "ve"])
def test_temperature_scales_the_decoded_deviation_of_a_gaussian(x64, sde):
    """The flow is linear: 0.7 times the code gives 0.49 times the variance."""
    z = sde.prior_sample(KEY, (64, 1))
    codes = jnp.concatenate([z, latent.temperature(z, 0.7)])
    x = decode(gaussian, sde, codes)
    np.testing.assert_allclose(x[64:].var() / x[:64].var(), 0.49, rtol=1e-6)
    np.testing.assert_allclose(x[64:], gaussian_flow(sde, 0.7 * z, 0.3, 0.5), atol=1e-7)
