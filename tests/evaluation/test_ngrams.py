"""N-grams of tokens against counts by hand, and the numbers of ../shared/ORACLES.md."""

from pathlib import Path

import numpy as np
import pytest

from score_sde import data
from score_sde.data import words
from score_sde.evaluation import ngrams

AB = np.array([[0, 0, 1], [0, 1, 1]])


def test_by_hand():
    """Three tokens, two of them there: 0 three times and 1 three times among six."""
    found = np.exp(-ngrams.NGrams(AB, 1, 3).nats(np.array([[0, 1, 2]])))
    one = np.array([3 + 2 / 3, 3 + 2 / 3, 2 / 3]) / 8  # (c + T / 3) / (6 + T), T = 2
    np.testing.assert_allclose(found, one.prod())
    # After the beginning 0 twice, T = 1; after 0: 0 once and 1 twice, T = 2; after 1: 1 once.
    expected = (2 + one[0]) / 3 * (2 + 2 * one[1]) / 5 * (0 + 1 * one[2]) / 2
    np.testing.assert_allclose(
        np.exp(-ngrams.NGrams(AB, 2, 3).nats(np.array([[0, 1, 2]]))), expected
    )
    # What was never seen leaves the shorter one: nothing follows 2.
    after = np.exp(-ngrams.NGrams(AB, 2, 3).nats(np.array([[2, 0]])))
    np.testing.assert_allclose(after, (1 * one[2]) / 3 * one[0])


def test_they_are_distributions():
    """Of all sequences of a length the probabilities add up to 1, whatever n."""
    every = np.stack(np.meshgrid(*[range(3)] * 3, indexing="ij"), -1).reshape(-1, 3)
    for n in (1, 2, 3):
        nats = ngrams.NGrams(AB, n, 3).nats(every)
        np.testing.assert_allclose(np.exp(-nats).sum(), 1)
        np.testing.assert_allclose(ngrams.bits(AB, every, 3, 3)[n - 1], nats / np.log(2))


def test_what_follows_the_end_does_not_count():
    """Neither in counting nor in what a sequence costs."""
    short, long = np.array([[1, 0, 0, 0]]), np.array([[1, 0]])
    for n in (1, 2):
        models = [ngrams.NGrams(rows, n, 3, end=0) for rows in (short, long)]
        np.testing.assert_allclose(*(m.nats(r) for m, r in zip(models, (short, long), strict=True)))


def test_the_command(tmp_path, capsys):
    """A line for each n."""
    path = tmp_path / "list"
    path.write_text("".join(f"wo{a}{b}\n" for a in "abcdefgh" for b in "vwxyz"))
    assert ngrams.main(["words", f"--data_dir={path}", "--order=3", "--end=0"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("4 test examples of tokens, 13 of 27")
    assert [line.split()[0] for line in lines[1:]] == ["n", "1", "2", "3"]
    assert float(lines[3].split()[1]) < float(lines[2].split()[1])
    assert ngrams.main(["words", f"--data_dir={tmp_path}"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_samples(tmp_path, capsys):
    """What they are worth by the longest, and which of them are examples."""
    path, file = tmp_path / "list", tmp_path / "samples.npz"
    path.write_text("".join(f"wo{a}{b}\n" for a in "abcdefgh" for b in "vwxyz"))
    train, test = (data.load("words", split, data_dir=path) for split in ("train", "test"))
    rows = train.gather(np.array([0, 0]))["tokens"], test.gather(np.array([0]))["tokens"]
    other = np.full((1, 13), 5)
    np.savez(file, samples=np.concatenate([*rows, other]))
    flags = ["words", f"--data_dir={path}", f"--samples={file}", "--order=2"]
    assert ngrams.main(flags) == 0
    out = capsys.readouterr().out
    said = "50.0 % of them training examples, 25.0 % test ones, 75.0 % distinct"
    assert "4 of " in out
    assert said in out
    every = train.gather(np.arange(len(train)))["tokens"]
    worth = ngrams.NGrams(every, 2, 27).nats(np.concatenate([*rows, other])) / np.log(2)
    assert f"{worth.mean():.2f} +- {worth.std(ddof=1) / 2:.2f} bits by 2-grams" in out
    parts = [every, test.gather(np.arange(len(test)))["tokens"]]
    found = ngrams.judged(file, parts, 2, 27)
    np.testing.assert_allclose(found.bits, worth)
    assert found.seen.tolist() == [True, True, False, False]
    assert found.held_out.tolist() == [False, False, True, False]
    assert found.distinct == 3
    for bad in (np.zeros((2, 12), int), np.full((2, 13), 27), np.zeros((2, 13))):
        np.savez(file, samples=bad)
        assert ngrams.main(flags) == 2
        assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.slow
@pytest.mark.skipif(not Path(words.USUAL).exists(), reason="needs the Debian package wamerican")
def test_words():
    """ORACLES: bits a word of n = 1 to 6, to three standard errors of another held-out choice."""
    parts = [data.load("words", split) for split in ("train", "test")]
    assert sum(map(len, parts)) == 60_540
    rows = [part.gather(np.arange(len(part)))["tokens"] for part in parts]
    found = ngrams.bits(*rows, 6, 27, end=0)
    error = found.std(axis=1) / np.sqrt(found.shape[1])
    expected = [38.2, 32.1, 28.0, 24.7, 21.9, 21.0]
    assert (abs(found.mean(axis=1) - expected) < 3 * error + 0.05).all()
