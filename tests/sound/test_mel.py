"""Mel scales and bands, by their formulas' exact values."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from score_sde.sound import mel


def test_htk_scale():
    assert mel.mel(700.0, "htk") == pytest.approx(2595 * np.log10(2), rel=1e-15)
    assert mel.mel(6300.0, "htk") == pytest.approx(2595, rel=1e-15)


def test_slaney_scale():
    """200/3 Hz a mel as far as 1 kHz, mel 15; from there 27 mels are a factor of 6.4."""
    np.testing.assert_allclose(mel.mel([200.0, 1000.0, 6400.0], "slaney"), [3, 15, 42], rtol=1e-15)


@pytest.mark.parametrize("scale", mel.SCALES)
def test_hertz_is_the_inverse(scale):
    f = np.linspace(0, 8000, 401)
    np.testing.assert_allclose(mel.hertz(mel.mel(f, scale), scale), f, rtol=1e-12, atol=1e-10)
    assert (np.diff(mel.mel(f, scale)) > 0).all()


def test_htk_bands_add_up_to_one_between_the_first_and_the_last_peak():
    bank = mel.filters(16000, 1024, 40, 100.0, 7000.0, "htk")
    assert bank.shape == (513, 40)
    edges = mel.hertz(np.linspace(mel.mel(100, "htk"), mel.mel(7000, "htk"), 42), "htk")
    f = np.arange(513) * 16000 / 1024
    inside = (f >= edges[1]) & (f <= edges[-2])
    np.testing.assert_allclose(bank[inside].sum(1), 1, rtol=1e-13)
    assert not bank[(f <= edges[0]) | (f >= edges[-1])].any()
    # On a slope of its own, a value is exact: halfway up, 1/2.
    np.testing.assert_allclose(bank[:, 7], np.interp(f, edges[7:10], [0, 1, 0]), atol=1e-14)


def test_slaney_bands_are_of_area_one():
    """By a sum over frequencies much closer than the bands."""
    size = 1 << 16
    bank = mel.filters(16000, size, 64, scale="slaney")
    np.testing.assert_allclose(bank.sum(0) * 16000 / size, 1, rtol=2e-3)
    peaks = bank.argmax(0) * 16000 / size
    exact = mel.hertz(np.linspace(0, mel.mel(8000.0, "slaney"), 66), "slaney")[1:-1]
    np.testing.assert_allclose(peaks, exact, atol=16000 / size)


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="bands have no frequency"):
        mel.filters(16000, 128, 64)
    with pytest.raises(ValueError, match="low is 5000 Hz"):
        mel.filters(16000, 1024, 64, 5000.0, 4000.0)
    with pytest.raises(ValueError, match="high 9000"):
        mel.filters(16000, 1024, 64, 0.0, 9000.0)


def test_magnitudes_of_bands_never_go_away_from_them():
    """Lee and Seung's theorem; and magnitudes that explain the bands already stay as they are."""
    rng = np.random.default_rng(0)
    bank = mel.filters(16000, 512, 20)
    with jax.enable_x64(True):
        given = jnp.asarray(rng.uniform(0, 2, (3, 257)) @ bank)
        apart = [
            float(((mel.magnitudes(jnp.asarray(bank), given, n) @ bank - given) ** 2).sum())
            for n in (0, 1, 3, 10, 100)
        ]
        found = mel.magnitudes(jnp.asarray(bank), given, 1000)
        assert (np.diff(apart) < 0).all()
        np.testing.assert_allclose(found @ bank, given, rtol=1e-3)
        assert float(found.min()) >= 0
        assert not np.any(mel.magnitudes(jnp.asarray(bank), jnp.zeros((1, 20)), 3))
