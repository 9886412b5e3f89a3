"""The words of a list as tokens."""

import numpy as np
import pytest

from score_sde import data
from score_sde.data import DataError, SplitError, words
from score_sde.spaces import Tokens


@pytest.fixture
def path(tmp_path):
    """40 words of four letters, twice each, between lines that are none."""
    found = [f"wo{a}{b}" for a in "abcdefgh" for b in "vwxyz"]
    lines = [
        *found,
        "no",
        "muchtoolonger",
        "Name",
        "it's",
        "\N{LATIN SMALL LETTER E WITH ACUTE}tude",
    ]
    file = tmp_path / "list"
    file.write_text("\n".join([*lines, *found, "abc", "twelvelettrs"]), encoding="utf-8")
    return file


def read(source):
    """The words, of their letters."""
    space = Tokens.of(source.info["tokens"])
    return space.as_texts(source.gather(np.arange(len(source)))["tokens"])


def test_its_words_and_no_others(path):
    """3 to 12 letters a to z, once each; a tenth of a small list is held out, always the same."""
    train, test = (data.load("words", split, data_dir=path) for split in ("train", "test"))
    assert (len(train), len(test)) == (38, 4)
    every = read(train) + read(test)
    expected = {f"wo{a}{b}" for a in "abcdefgh" for b in "vwxyz"} | {"abc", "twelvelettrs"}
    assert set(every) == expected
    assert len(every) == len(expected)
    assert read(data.load("words", "test", data_dir=path)) == read(test)
    field = train.info["tokens"]
    assert (field.kind, field.shape, field.values) == ("tokens", (13,), 27)
    letters = train.gather(np.array([0]))["tokens"][0]
    assert letters.dtype == np.int32
    assert letters[:3].tolist() == [1, 2, 3]
    assert not letters[3:].any()


def test_what_is_no_list(path, tmp_path, monkeypatch):
    """One line that says how to get one."""
    said = "apt-get install wamerican"
    (tmp_path / "empty").write_text("A B C\n")
    with pytest.raises(DataError, match=rf"fewer than two words .*{said}"):
        words.load(tmp_path / "empty")
    with pytest.raises(DataError, match=rf"cannot read .*{said}"):
        words.load(tmp_path)
    monkeypatch.setattr(words, "USUAL", str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match=rf"cannot read .*nowhere.*{said}"):
        data.load("words")
    monkeypatch.setattr(words, "_MOST", 10)
    with pytest.raises(DataError, match="larger than 10 bytes"):
        words.load(path)
    monkeypatch.undo()
    with pytest.raises(SplitError, match="no split 'valid'"):
        words.load(path, "valid")
