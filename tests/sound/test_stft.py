"""Short-time spectra: equation (1) by its sums, and the inverse in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from score_sde.sound.griffin_lim import griffin_lim
from score_sde.sound.stft import STFT

pytestmark = pytest.mark.slow

SHORT = STFT(64, 16)


def signal(samples=1000, batch=(2,), seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (*batch, samples))


def test_a_frame_is_the_transform_of_the_windowed_signal_around_its_centre():
    x = signal(100, ())
    with jax.enable_x64(True):
        found = np.asarray(SHORT(jnp.asarray(x)))
    assert found.shape == (SHORT.frames(100), 33) == (8, 33)
    padded = np.pad(x, (32, 200))
    j, k = np.arange(64), np.arange(33)[:, None]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * j / 64)
    for m in range(8):
        exact = (window * padded[16 * m + j] * np.exp(-2j * np.pi * j * k / 64)).sum(-1)
        np.testing.assert_allclose(found[m], exact, atol=1e-12)


@pytest.mark.parametrize(
    ("size", "hop", "samples"), [(64, 16, 1000), (64, 32, 321), (1024, 256, 16000)]
)
def test_the_inverse_of_the_transform_is_the_signal(size, hop, samples):
    """ORACLES, "Sound": 6e-17, the root mean square in float64, of a signal within [-1, 1]."""
    x, stft = signal(samples), STFT(size, hop)
    with jax.enable_x64(True):
        again = np.asarray(stft.inverse(stft(jnp.asarray(x)), samples))
    assert again.dtype == np.float64
    assert np.sqrt(((again - x) ** 2).mean()) < 2e-16


def test_the_inverse_is_the_nearest_signal():
    """The spectra of the inverse are a projection: P P = P, and what is left is orthogonal."""
    rng = np.random.default_rng(1)
    c = rng.standard_normal((SHORT.frames(300), 33)) + 1j * rng.standard_normal((20, 33))
    c[:, [0, -1]] = c[:, [0, -1]].real
    with jax.enable_x64(True):
        once = SHORT(SHORT.inverse(jnp.asarray(c), 300))
        twice = SHORT(SHORT.inverse(once, 300))
    np.testing.assert_allclose(once, twice, atol=1e-12)
    both = np.full(33, 2.0)  # a frequency and its negative, of which one is kept
    both[[0, -1]] = 1
    # Equation (2) is of least squares for signals that the windows cover evenly: away from ends.
    x = np.zeros(300)
    x[100:200] = signal(100, ())
    with jax.enable_x64(True):
        inner = np.asarray(SHORT(jnp.asarray(x)))
    left = ((c - np.asarray(once)) * inner.conj() * both).real.sum()
    assert abs(left) < 1e-9


def test_a_size_that_is_no_multiple_of_two_hops_is_refused():
    for size, hop in ((64, 24), (64, 64), (0, 1), (64, 0)):
        with pytest.raises(ValueError, match="multiple of 2 hops"):
            STFT(size, hop)


def test_spectra_of_another_length_are_refused():
    with pytest.raises(ValueError, match="21 frames are of another signal"):
        SHORT.inverse(jnp.zeros((21, 33), complex), 300)


def inconsistency(x, magnitudes):
    return float(((np.abs(SHORT(x)) - magnitudes) ** 2).sum())


def test_griffin_lim_with_the_right_phases_stays_at_the_signal():
    with jax.enable_x64(True):
        x = jnp.asarray(signal())
        spectra = SHORT(x)
        for momentum in (0.0, 0.99):
            found = griffin_lim(
                SHORT,
                jnp.abs(spectra),
                1000,
                steps=5,
                momentum=momentum,
                phases=jnp.angle(spectra),
            )
            np.testing.assert_allclose(found, x, atol=1e-11)


def test_griffin_lim_never_goes_away_and_its_fast_variant_is_nearer():
    """Griffin and Lim 1984: the distance from the magnitudes does not grow with the steps."""
    with jax.enable_x64(True):
        magnitudes = jnp.abs(SHORT(jnp.asarray(signal())))
        apart = {
            momentum: [
                inconsistency(
                    griffin_lim(SHORT, magnitudes, 1000, steps=n, momentum=momentum), magnitudes
                )
                for n in (1, 2, 5, 10, 30)
            ]
            for momentum in (0.0, 0.99)
        }
    assert (np.diff(apart[0.0]) < 0).all()
    assert apart[0.99][-1] < 0.7 * apart[0.0][-1]


def test_griffin_lim_of_silence_is_silence():
    assert not np.any(griffin_lim(SHORT, jnp.zeros((20, 33)), 300, steps=2))
