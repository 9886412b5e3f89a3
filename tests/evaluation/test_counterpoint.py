"""Crossings and parallels, by hand."""

import numpy as np
import pytest
import real

from score_sde.evaluation import counterpoint, ngrams

WHEEL, WITH_CHORALES = real.wheel("music21")


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
        ([67, 74], [60, 55], 0.0),  # from a fifth to one an octave wider, by contrary motion
        ([60, 62], [60, 62], 1.0),  # unisons
        ([67, 72], [60, 60 + 24], 0.0),
    ],
)
def test_parallels(upper, lower, share):
    """A fifth or an octave before and after, where both voices move in the same direction."""
    found = counterpoint.parallels(np.array([[upper, lower]]))
    np.testing.assert_equal(found, share)


@pytest.mark.parametrize(
    ("upper", "lower", "share"),
    [
        ([67, 69], [60, 62], 1.0),
        ([67, 74], [60, 55], 1.0),  # by contrary motion
        ([67, 72], [60, 48], 1.0),  # a fifth and two octaves
        ([60, 62], [60, 62], 0.0),  # unisons are none
        ([67, 67], [60, 48], 0.0),  # one stays
        ([67, 69], [60, 65], 0.0),  # to a third
        ([67, 69, 70], [60, 62, 62], 0.5),
        ([67, -1], [60, 62], np.nan),
    ],
)
def test_perfect_to_perfect(upper, lower, share):
    """Both voices move from a fifth or an octave to either, of all pairs."""
    found = counterpoint.perfect_to_perfect(np.array([[upper, lower]]))
    np.testing.assert_equal(found, share)


def test_all_pairs_of_voices():
    """Of three voices that move together, the outer ones and the upper ones in fifths."""
    pitches = np.array([[[74, 76], [67, 69], [62, 65]]])
    assert counterpoint.parallels(pitches) == pytest.approx(1 / 3)
    assert counterpoint.perfect_to_perfect(pitches) == pytest.approx(1 / 3)


@pytest.mark.slow
@WITH_CHORALES
def test_the_chorales():
    """2.1 % crossings and 1.36 % from perfect to perfect in Bach's, and few true parallels."""
    tokens = real.every("chorales", "train", "tokens", data_dir=WHEEL)
    pitches = tokens.astype(int).reshape(len(tokens), -1, 4).transpose(0, 2, 1) - 1
    assert counterpoint.crossings(pitches) == pytest.approx(0.021, abs=0.002)
    assert counterpoint.perfect_to_perfect(pitches) == pytest.approx(0.0136, abs=0.001)
    assert counterpoint.parallels(pitches) == pytest.approx(0.0011, abs=0.0004)


@pytest.mark.slow
@WITH_CHORALES
def test_4_grams_of_the_voices():
    """ORACLES: 1.70, 1.92, 2.07 and 2.25 bits a token, from the soprano down.

    Of other held-out chorales, to three standard errors: tokens after three that are known, since
    an example is a piece of a chorale. Training pieces overlap, and every 16th covers all once.
    """
    rows = {
        split: real.every("chorales", split, "tokens", data_dir=WHEEL)
        for split in ("train", "test")
    }
    voices = {split: row.reshape(len(row), -1, 4) for split, row in rows.items()}
    for voice, expected in enumerate((1.70, 1.92, 2.07, 2.25)):
        train, test = voices["train"][::16, :, voice], voices["test"][:, :, voice]
        model = ngrams.NGrams(train, 4, 47)
        bits = (model.nats(test) - model.nats(test[:, :3])) / np.log(2) / (test.shape[1] - 3)
        assert abs(bits.mean() - expected) < 3 * bits.std(ddof=1) / np.sqrt(len(bits))


def test_the_command(tmp_path, capsys):
    """Of samples, and of what they are held against; token n + 1 is the pitch n."""
    path = tmp_path / "samples.npz"
    np.savez(path, samples=np.array([[68, 61, 70, 63]]), tokens=np.array([[61, 68, 0, 63]]))
    assert counterpoint.main([str(path), "--voices=2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("drawn: 1 of 2 steps, 0.00 % of steps with crossings, 100.00 %")
    assert lines[1].startswith("as it was composed: 1 of 2 steps, 100.00 % of steps with crossings")
    list_of_words = tmp_path / "list"
    list_of_words.write_text("some\nwords\nthere\n")
    beside = ["--beside=words", f"--data_dir={list_of_words}", "--voices=13"]
    np.savez(path, samples=np.zeros((1, 26), int))
    assert counterpoint.main([str(path), *beside]) == 0
    names = [line.split(":")[0] for line in capsys.readouterr().out.splitlines()]
    assert names == ["drawn", "words, train", "words, test"]
    assert counterpoint.main([str(path), *beside[:2], "--voices=2"]) == 2
    assert "words: words, train are no steps of 2 voices" in capsys.readouterr().err
    np.savez(path, samples=np.zeros((1, 3)))
    for bad in (path, tmp_path / "none.npz"):
        assert counterpoint.main([str(bad)]) == 2
        assert capsys.readouterr().err.count("\n") == 1
