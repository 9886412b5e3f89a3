"""The distance of signals by spectra."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from filled import quick_jit

from score_sde.objectives import spectral

pytestmark = pytest.mark.slow

RATE = 4000
DISTANCE = quick_jit(spectral.distance)


def tone(frequency, phase=0.0, size=0.5):
    t = np.arange(2048) / RATE
    return jnp.asarray(size * np.sin(2 * np.pi * frequency * t + phase))[None]


def test_it_hears_frequencies_and_hardly_phases(x64):
    one = tone(440)
    assert DISTANCE(one, one)[0] == 0
    np.testing.assert_allclose(DISTANCE(one, -one), 0, atol=1e-12)
    other_phase, other_tone = DISTANCE(one, tone(440, 1.0))[0], DISTANCE(one, tone(460))[0]
    assert other_tone > 5 * other_phase
    assert DISTANCE(one, tone(440, size=0.25))[0] > 5 * other_phase
    # Each channel and example is heard by itself.
    two = jnp.concatenate([one, tone(300)])
    both = jnp.stack([two, two[::-1]], axis=2)
    found = DISTANCE(both, jnp.zeros_like(both))
    np.testing.assert_allclose(found, DISTANCE(two, 0 * two).mean(), rtol=1e-12)


def test_it_is_in_the_units_of_the_signal(x64):
    """White noise of deviation s is as far from silence as E|A| of it and its compression say."""
    x = 0.1 * jax.random.normal(jax.random.key(0), (64, 2048))
    found = float(DISTANCE(x, 0 * x).mean())
    size = 0.1 * np.sqrt(np.pi) / 2  # mean of a Rayleigh distribution whose mean square is 0.01
    rng = np.random.default_rng(0)
    a = 0.1 * np.abs(rng.standard_normal(200_000) + 1j * rng.standard_normal(200_000)) / np.sqrt(2)
    np.testing.assert_allclose(a.mean(), size, rtol=0.01)
    np.testing.assert_allclose(found, size + (0.01 * np.log1p(a / 0.01)).mean(), rtol=0.05)


def test_silence_has_a_gradient():
    found = quick_jit(jax.grad(lambda x: spectral.distance(x, tone(440)).sum()))(
        jnp.zeros((1, 2048))
    )
    assert np.isfinite(found).all()


@pytest.mark.parametrize("samples", [10, 100, 3000])
def test_any_length_has_a_distance(samples):
    x = jnp.ones((1, samples))
    assert DISTANCE(x, 0 * x)[0] > 0
