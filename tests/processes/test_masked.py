"""The process of masks: its schedules, its draws, and where it does not go."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import score_sde
from score_sde import analytic, processes, samplers
from score_sde.processes import MASK, Masked
from score_sde.processes.masked import SCHEDULES

ALL = [*(Masked(name) for name in SCHEDULES), Masked("polynomial", power=0.5)]
each = pytest.mark.parametrize("process", ALL, ids=lambda p: f"{p.schedule}{p.power:g}")


@each
def test_the_schedules(x64, process):
    """sigma from 0 to 1, its logarithm's derivative, and its inverse, of JAX and of NumPy."""
    t = jnp.linspace(0.01, 0.99, 23)
    assert float(process.sigma(np.float64(0))) == 0
    np.testing.assert_allclose(process.sigma(np.float64(1)), 1, rtol=1e-15)
    np.testing.assert_allclose(process.alpha(t) + process.sigma(t), 1, rtol=1e-15)
    expected = jax.vmap(jax.grad(lambda t: jnp.log(process.sigma(t))))(t)
    np.testing.assert_allclose(process.rate(t), expected, rtol=1e-12)
    np.testing.assert_allclose(process.time(process.sigma(t)), t, rtol=1e-12)
    np.testing.assert_allclose(process.time_at_log_snr(process.log_snr(t)), t, rtol=1e-11)
    for method in ("alpha", "sigma", "rate", "time", "log_snr", "time_at_log_snr"):
        on_host = getattr(process, method)(np.asarray(t))
        assert isinstance(on_host, np.ndarray)
        np.testing.assert_allclose(on_host, getattr(process, method)(t), rtol=1e-12)


def test_the_cosine_schedule_of_the_paper(x64):
    """alpha = 1 - cos(pi (1 - t) / 2)."""
    t = np.linspace(0, 1, 11)
    expected = 1 - np.cos(0.5 * np.pi * (1 - t))
    np.testing.assert_allclose(Masked("cosine").alpha(t), expected, atol=1e-15)


@each
def test_two_steps_are_one(x64, process):
    """The share of masks at s, of those at t, is what the reverse step leaves of it."""
    t, s = jnp.array([1.0, 0.7, 0.2]), jnp.array([0.9, 0.3, 0.0])
    left = process.sigma(t) * (1 - process.reveals(t, s))
    np.testing.assert_allclose(left, process.sigma(s), atol=1e-15)


def test_masks_are_drawn_with_their_share():
    """Independently, with sigma(t) of each example; what is no mask is the data."""
    process, n = Masked("cosine"), 50_000
    x0 = jnp.tile(jnp.arange(4, dtype=jnp.int32)[None], (n, 1))
    t = jnp.where(jnp.arange(n) % 2, 0.2, 0.7)
    z = process.corrupt(jax.random.key(1), x0, t)
    masked = np.asarray(z == MASK)
    assert z.dtype == jnp.int32
    np.testing.assert_array_equal(np.where(masked, x0, z), x0)
    for start, time in ((1, 0.2), (0, 0.7)):
        own, sigma = masked[start::2], float(process.sigma(np.float64(time)))
        error = np.sqrt(sigma * (1 - sigma) / len(own))
        np.testing.assert_allclose(own.mean(0), sigma, atol=4 * error)
        covariance = np.cov(own.T)[np.triu_indices(4, 1)]
        np.testing.assert_allclose(covariance, 0, atol=4.5 * sigma * (1 - sigma) / len(own) ** 0.5)


def test_an_example_is_of_its_own_key():
    """So it is the same in every batch."""
    x0, t = jnp.zeros((6, 40), jnp.int32), jnp.full(6, 0.5)
    keys = jax.random.split(jax.random.key(3), 6)
    whole = Masked().corrupt(keys, x0, t)
    np.testing.assert_array_equal(Masked().corrupt(keys[2:4], x0[2:4], t[2:4]), whole[2:4])


def test_it_is_a_process_of_the_table():
    """By name and parameters, and back."""
    section = processes.section(Masked("polynomial", 3.0))
    assert section == {"name": "masked", "schedule": "polynomial", "power": 3.0}
    assert processes.read(section) == Masked("polynomial", 3.0)
    assert Masked().prior_sample(None, (2, 3)).tolist() == [[MASK] * 3] * 2
    with pytest.raises(ValueError, match=r"unknown parameter of .* 't_min'"):
        processes.read({"name": "masked", "t_min": 0.1})
    with pytest.raises(ValueError, match="schedule"):
        Masked("none")


@pytest.mark.parametrize("name", ["ddim", "rk45", "predictor_corrector", "jump"])
def test_a_sampler_of_numbers_refuses_it(name):
    """In one line; and one of tokens refuses a process of numbers."""
    with pytest.raises(ValueError, match="draws numbers, and the process Masked is of tokens"):
        samplers.get(name)(jax.random.key(0), None, Masked(), shape=(2, 3))
    sde = score_sde.VP()
    denoise = analytic.gaussian(sde, [0.0], 1.0)
    with pytest.raises(ValueError, match="Unmasking draws tokens, and the process VP is of numb"):
        samplers.get("unmasking")(jax.random.key(0), denoise, sde, shape=(2, 1))
