"""Crossings and parallels, by hand."""

import numpy as np
import pytest

from score_sde.evaluation import counterpoint


def test_crossings():
    """Of steps in which all sound, those in which a voice is above the next higher one."""
    pitches = np.array([[[60, 50, 60, -1], [55, 55, 60, 70]]])
    assert counterpoint.crossings(pitches) == pytest.approx(1 / 3)
    assert np.isnan(counterpoint.crossings(pitches[..., 3:]))


@pytest.mark.parametrize(
    ("upper", "lower", "share"),
    [
        ([67, 69], [60, 62], 1.0),  # fifths
        ([72, 74], [48, 50], 1.0),  # octaves, two of them
        ([67, 62], [60, 67], 0.0),  # a fifth and a fourth
        ([67, 74], [60, 67], 1.0),
        ([67, 67], [60, 60], np.nan),  # nothing moves
        ([67, 69], [60, 60], np.nan),
        ([64, 65], [60, 62], 0.0),  # thirds
        ([67, -1], [60, 62], np.nan),
        ([67, 69, 71], [60, 62, 60], 0.5),
    ],
)
def test_parallels(upper, lower, share):
    """A fifth or an octave before and after, where both voices move."""
    found = counterpoint.parallels(np.array([[upper, lower]]))
    np.testing.assert_equal(found, share)


def test_all_pairs_of_voices():
    """Of three voices that move together, the outer ones and the upper ones in fifths."""
    pitches = np.array([[[74, 76], [67, 69], [62, 65]]])
    assert counterpoint.parallels(pitches) == pytest.approx(1 / 3)


def test_the_command(tmp_path, capsys):
    """Of samples, and of what they are held against; token n + 1 is the pitch n."""
    path = tmp_path / "samples.npz"
    np.savez(path, samples=np.array([[68, 61, 70, 63]]), tokens=np.array([[61, 68, 0, 63]]))
    assert counterpoint.main([str(path), "--voices=2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("samples: 1 of 2 steps, 0.00 % of steps with crossings, 100.00 %")
    assert lines[1].startswith("tokens: 1 of 2 steps, 100.00 % of steps with crossings, nan %")
    np.savez(path, samples=np.zeros((1, 3)))
    for bad in (path, tmp_path / "none.npz"):
        assert counterpoint.main([str(bad)]) == 2
        assert capsys.readouterr().err.count("\n") == 1
