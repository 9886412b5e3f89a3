"""The pitch of tones that are made here."""

import numpy as np
import pytest

from score_sde.sound import pitch

RATE = 16000


def tone(frequency, partials=((1, 1.0),), samples=RATE, phase=0.3):
    t = np.arange(samples) / RATE
    return sum(a * np.sin(2 * np.pi * k * frequency * t + phase * k) for k, a in partials)


def test_normalised_difference_is_its_sums():
    x = np.random.default_rng(0).standard_normal((2, 50))
    found = pitch.normalised_difference(x, 49)
    for tau in range(50):
        a, b = x[:, : 50 - tau], x[:, tau:]
        exact = 2 * (a * b).sum(-1) / (a**2 + b**2).sum(-1)
        np.testing.assert_allclose(found[:, tau], exact, atol=1e-12)
    assert (np.abs(found) <= 1 + 1e-12).all()


def test_of_a_period_it_is_one():
    x = tone(400.0, samples=800)
    assert pitch.normalised_difference(x, 40)[40] == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize(
    "partials",
    [
        ((1, 1.0),),
        ((1, 1.0), (2, 0.5), (3, 0.3), (4, 0.2)),
        ((2, 1.0), (3, 1.0), (4, 0.5)),  # the fundamental is missing, and heard
        ((1, 0.3), (2, 1.0)),
        ((1, 1.0), (3, 1 / 3), (5, 1 / 5), (7, 1 / 7)),
    ],
)
def test_tones_of_the_notes(partials):
    """Each of the 36 pitches within a tenth of a semitone."""
    numbers = np.arange(48, 84)
    x = np.stack([tone(f, partials) for f in pitch.frequency(numbers)])
    found = pitch.numbers(pitch.frequencies(x, RATE))
    assert np.abs(found - numbers).max() < 0.1


def test_noise_on_a_tone():
    rng = np.random.default_rng(0)
    numbers = np.arange(48, 84)
    x = np.stack([tone(f) for f in pitch.frequency(numbers)]) + 0.1 * rng.standard_normal(
        (36, RATE)
    )
    assert np.abs(pitch.numbers(pitch.frequencies(x, RATE)) - numbers).max() < 0.3


def test_what_has_no_pitch():
    silent = np.zeros((1, RATE))
    constant = np.ones((1, RATE))
    assert np.isnan(pitch.frequencies(np.concatenate([silent, constant]), RATE)).all()
    assert np.isnan(pitch.frequencies(np.zeros((1, 4)), RATE)).all()


def test_numbers_are_those_of_midi():
    np.testing.assert_allclose(pitch.numbers([440.0, 880.0]), [69, 81])
    assert pitch.frequency(60) == pytest.approx(261.6255653, rel=1e-9)
