"""Signals at another rate."""

import numpy as np
import pytest

from score_sde.sound.resample import resample


@pytest.mark.parametrize(
    ("rate", "new"), [(8000, 16_000), (44_100, 16_000), (16_000, 11_025), (48_000, 44_100)]
)
def test_a_tone_stays_a_tone_of_its_phase_and_what_no_longer_fits_is_gone(rate, new):
    """Away from the ends, where there is silence before and after."""
    seconds = np.arange(rate) / rate
    lower = min(rate, new) / 2
    after = np.arange(new) / new
    middle = slice(new // 4, -new // 4)
    for share in (0.01, 0.5, 0.84):
        tone = resample(np.cos(2 * np.pi * share * lower * seconds + 1), rate, new)
        assert tone.shape == (new,)
        expected = np.cos(2 * np.pi * share * lower * after + 1)
        np.testing.assert_allclose(tone[middle], expected[middle], atol=1e-4)
    if new < rate:
        gone = resample(np.cos(2 * np.pi * 1.06 * lower * seconds), rate, new)
        assert np.abs(gone[middle]).max() < 1e-4


def test_lengths_and_the_same_rate():
    x = np.ones(1001, np.float32)
    assert resample(x, 8000, 8000) is x
    for new in (7999, 1, 24_001):
        found = resample(x, 8000, new)
        assert found.dtype == np.float32
        assert len(found) == -(-1001 * new // 8000)
    # What is constant stays so, where the window sees nothing else.
    np.testing.assert_allclose(resample(x, 8000, 12_000)[100:-100], 1, atol=1e-4)
    assert resample(x[:0], 8000, 12_000).shape == (0,)
