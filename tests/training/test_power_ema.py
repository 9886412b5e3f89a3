"""Power-function averages against golden numbers, and what is made of them against tracked ones."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from score_sde.training import power_ema
from score_sde.training.state import update_ema


@pytest.fixture(scope="module")
def golden(shared):
    found = np.load(shared / "golden" / "modern" / "objectives.npz")
    return {n.removeprefix("phema/"): found[n] for n in found.files if n.startswith("phema/")}


def test_length_and_exponent_are_golden(golden):
    found = [power_ema.exponent(one) for one in golden["std"]]
    np.testing.assert_allclose(found, golden["exp"], rtol=1e-10)
    np.testing.assert_allclose([power_ema.length(g) for g in found], golden["std_back"], rtol=1e-10)
    assert power_ema.exponent(12**-0.5) == pytest.approx(0, abs=1e-10)


def test_beta_is_golden(golden, x64):
    steps = jnp.asarray(golden["beta_t_next"] / golden["beta_t_delta"])
    weights = [power_ema.weight(gamma, steps) for gamma in golden["exp"]]
    np.testing.assert_allclose(1 - np.array(weights), golden["beta"], rtol=1e-9)
    assert power_ema.weight(6.9, jnp.asarray(1)) == 1  # nothing is kept of what was before


def test_correlation_coefficients_and_reconstruction_are_golden(golden):
    steps, lengths = golden["in_ofs"], golden["in_std"]
    gammas = np.array([power_ema.exponent(one) for one in lengths])
    pairs = power_ema.correlation(steps[:, None], gammas[:, None], steps[None], gammas[None])
    np.testing.assert_allclose(pairs, golden["correlation"], rtol=1e-10)
    for i, (step, length) in enumerate(zip(golden["out_ofs"], golden["out_std"], strict=True)):
        found = power_ema.combine(steps, lengths, step, length)
        expected = golden["coefficients"][:, i]
        np.testing.assert_allclose(found.coefficients, expected, rtol=0, atol=1e-10)
        made = found.coefficients @ golden["snapshots"]
        np.testing.assert_allclose(made, golden["reconstructed"][i], rtol=1e-10)


def test_the_error_is_the_distance_of_the_profiles(golden):
    """By the midpoint rule, of the density (gamma + 1) t^gamma / T^(gamma + 1)."""
    steps, lengths = golden["in_ofs"], golden["in_std"]
    found = power_ema.combine(steps, lengths, 64.0, 0.15)
    t = (np.arange(200_000) + 0.5) * 64 / 200_000

    def profile(step, length):
        gamma = power_ema.exponent(length)
        return np.where(t <= step, (gamma + 1) / step * (t / step) ** gamma, 0)

    wanted = profile(64.0, 0.15)
    made = sum(c * profile(*of) for c, *of in zip(found.coefficients, steps, lengths, strict=True))
    expected = np.sqrt(((made - wanted) ** 2).sum() / (wanted**2).sum())
    np.testing.assert_allclose(found.error, expected, rtol=1e-4)


def test_an_average_that_was_tracked_is_made_of_snapshots_of_others(x64):
    """SGD on a noisy quadratic; 0.05 and 0.10 are kept at 64 of 4096 steps, 0.07 is made."""
    number, every = 4096, 64
    names = ("power_0.05", "power_0.1", "power_0.07")
    noise = jax.random.normal(jax.random.key(0), (number, 8))

    def step(carry, noise):
        theta, ema, t = carry
        theta = theta - 0.01 * (theta - 1) + 0.02 * noise
        ema = update_ema(ema, {"w": theta}, t)
        return (theta, ema, t + 1), {name: ema[name]["w"] for name in names}

    start = jnp.zeros(8)
    ema = {name: {"w": start + 9} for name in names}  # which the first step forgets
    _, path = jax.lax.scan(step, (start, ema, jnp.asarray(1)), noise)
    kept = np.arange(every, number + 1, every)
    steps, lengths = np.repeat(kept, 2), np.tile((0.05, 0.1), len(kept))
    found = power_ema.combine(steps, lengths, number, 0.07)
    snapshots = np.stack([path[n][kept - 1] for n in names[:2]], 1).reshape(-1, 8)
    made, tracked = found.coefficients @ snapshots, np.asarray(path["power_0.07"][-1])
    error = np.linalg.norm(made - tracked) / np.linalg.norm(tracked)
    assert error < 1e-3
    assert found.error < 1e-3
    other = np.asarray(path["power_0.05"][-1])  # which is another average
    assert np.linalg.norm(other - tracked) / np.linalg.norm(tracked) > 5e-3


def test_a_power_average_is_the_mean_by_its_profile(x64):
    """gamma = 1: weights t / sum(t), but for the terms of the order 1 / T^2 of equation (1)."""
    length = power_ema.length(1.0)
    values = np.random.RandomState(0).randn(50)
    ema = {f"power_{length}": {"w": jnp.zeros(())}}
    for step, value in enumerate(values, start=1):
        ema = update_ema(ema, {"w": jnp.asarray(value)}, jnp.asarray(step))
    t = np.arange(1, 51)
    expected = np.sum((2 * t - 1) * values) / 50**2  # the integral of (1) over each step
    np.testing.assert_allclose(ema[f"power_{length}"]["w"], expected, rtol=1e-10)


def test_rounding_is_not_amplified_unsaid():
    """A hundred lengths are nearly one another: solved alone, coefficients add up to 1e7."""
    kept, lengths = (300, 600, 900, 1000), np.linspace(0.02, 0.28, 100)
    steps, each = np.repeat(kept, 100), np.tile(lengths, 4)
    theta = 1 + 0.01 * np.random.RandomState(0).randn(1000)

    def average(step, length):
        t = np.minimum(np.arange(1001) / step, 1)
        return np.diff(t ** (power_ema.exponent(length) + 1)) @ theta

    snapshots = np.float32([average(*of) for of in zip(steps, each, strict=True)])
    for wanted in (0.1, 0.01):
        found = power_ema.combine(steps, each, 1000, wanted)
        error = abs(found.coefficients @ np.float64(snapshots) / average(1000, wanted) - 1)
        assert error < found.error + 1e-6 < 0.01
