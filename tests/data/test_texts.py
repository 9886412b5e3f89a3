"""A folder of text files as tokens."""

import importlib.util
import json

import numpy as np
import pytest

from score_sde import data
from score_sde.data import DataError
from score_sde.data.__main__ import main
from score_sde.spaces import Tokens


@pytest.fixture
def texts(tmp_path):
    """Two files, of which one lies deeper, and one that is no text."""
    folder = tmp_path / "texts"
    (folder / "b").mkdir(parents=True)
    (folder / "a.txt").write_text("once upon a time, " * 30)
    (folder / "b" / "c.txt").write_text("there was \N{GREEK SMALL LETTER PI}\n" * 30)
    (folder / "note.md").write_text("not this")
    return folder


def read(folder, split):
    """All texts of a split, as one."""
    source = data.load("encoded", split, data_dir=folder)
    rows = source.gather(np.arange(len(source)))["tokens"]
    assert rows.shape == (len(source), *source.info["tokens"].shape)
    names = source.info["tokens"].names
    return "".join(names[token] for row in rows for token in row)


def test_characters(texts, tmp_path):
    """Cut into examples, in the order of the files, the last twentieth held out."""
    out = tmp_path / "out"
    assert main(["prepare", "texts", f"--texts={texts}", f"--data_dir={out}", "--length=8"]) == 0
    whole = "once upon a time, " * 30 + "\n\n" + "there was \N{GREEK SMALL LETTER PI}\n" * 30
    held_out = len(whole) // 20
    train, test = (read(out, split) for split in ("train", "test"))
    assert train == whole[: (len(whole) - held_out) // 8 * 8]
    assert test == whole[len(whole) - held_out :][: held_out // 8 * 8]
    field = data.load("encoded", data_dir=out).info["tokens"]
    assert field.names == tuple(sorted(set(whole)))
    assert (field.shape, field.values, field.dtype) == ((8,), len(field.names), "uint16")
    space = Tokens.of(field)
    assert space.as_texts(np.array([[field.names.index(c) for c in "once a  "]])) == ["once a  "]


@pytest.mark.skipif(not importlib.util.find_spec("tokenizers"), reason="needs tokenizers")
def test_a_released_tokeniser(texts, tmp_path):
    """A tokenizer.json of bytes; the texts are read back, characters of several bytes aside."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    made.train_from_iterator([path.read_text() for path in texts.rglob("*.txt")], trainer)
    made.save(str(tmp_path / "tokenizer.json"))
    asked = {"texts": texts, "tokenizer": tmp_path / "tokenizer.json", "length": 4}
    data.prepare("texts", data_dir=tmp_path / "out", **asked)
    assert read(tmp_path / "out", "train").startswith("once upon a time, once upon")
    assert 256 < data.load("encoded", data_dir=tmp_path / "out").info["tokens"].values <= 300
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(DataError, match=r"is no tokenizer\.json"):
        data.prepare("texts", data_dir=tmp_path / "again", **asked)


def tokeniser(vocab, **more):
    """The text of a tokenizer.json of words; "hello" and "world" are in its texts."""
    model = {"type": "WordLevel", "vocab": vocab, "unk_token": "?"}
    parts = ("added_tokens", "normalizer", "post_processor", "decoder", "truncation", "padding")
    none = dict.fromkeys(parts) | {"added_tokens": [], "pre_tokenizer": {"type": "Whitespace"}}
    return json.dumps({"version": "1.0", **none, "model": model} | more)


@pytest.mark.skipif(not importlib.util.find_spec("tokenizers"), reason="needs tokenizers")
def test_a_tokeniser_that_fails_on_a_text_is_refused_and_one_that_truncates_reads_it_all(tmp_path):
    """Two words a hundred times are two hundred tokens, whatever an encoder took at a time."""
    path, folder = tmp_path / "tokenizer.json", tmp_path / "texts"
    folder.mkdir()
    (folder / "a.txt").write_text("hello world " * 100)
    asked = {"texts": folder, "tokenizer": path, "length": 5}
    for vocab, why in (
        ({"hello": 0}, "Missing"),
        ({}, "Missing"),
        ({"hello": 0, "world": 4_000_000_000}, "not numbered from 0 to at most 2,097,151"),
    ):
        path.write_text(tokeniser(vocab))
        with pytest.raises(DataError, match=rf"is no tokenizer\.json: .*{why}"):
            data.prepare("texts", data_dir=tmp_path / "out", **asked)
    panics = {"type": "Precompiled", "precompiled_charsmap": "AAAA"}  # at its first letter
    path.write_text(tokeniser({"hello": 0, "?": 1}, normalizer=panics))
    with pytest.raises(DataError, match=r"is no tokenizer\.json"):
        data.prepare("texts", data_dir=tmp_path / "out", **asked)
    path.write_text(tokeniser({}, model={"type": "BPE", "vocab": {}, "merges": []}))
    with pytest.raises(DataError, match="not numbered"):
        data.prepare("texts", data_dir=tmp_path / "out", **asked)
    at_most = {"direction": "Right", "max_length": 8, "strategy": "LongestFirst", "stride": 0}
    padded = {"strategy": {"Fixed": 999}, "direction": "Right", "pad_to_multiple_of": None}
    padded |= {"pad_id": 0, "pad_type_id": 0, "pad_token": "hello"}
    path.write_text(tokeniser({"hello": 0, "world": 1}, truncation=at_most, padding=padded))
    data.prepare("texts", data_dir=tmp_path / "out", **asked)
    splits = (data.load("encoded", s, data_dir=tmp_path / "out") for s in ("train", "test"))
    rows = [len(split) for split in splits]
    assert rows == [38, 2]  # of five tokens each


def test_what_cannot_be(texts, tmp_path, capsys, monkeypatch):
    """One line, and the exit code 2."""
    out = tmp_path / "out"

    def refused(*flags):
        assert main(["prepare", "texts", f"--data_dir={out}", *flags]) == 2
        err = capsys.readouterr().err
        assert err.count("\n") == 1
        return err

    assert "--texts=FOLDER --data_dir=NEW_FOLDER" in refused()
    assert "has no files *.txt" in refused(f"--texts={tmp_path / 'none'}")
    assert "too few for examples of 256" in refused(f"--texts={texts}")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert "pip install" in refused(f"--texts={texts}", "--tokenizer=tokenizer.json")
    monkeypatch.undo()
    (texts / "z.txt").write_bytes(b"\xff")
    assert "z.txt cannot be read as a text" in refused(f"--texts={texts}")
    (texts / "z.txt").unlink()
    data.prepare("texts", data_dir=out, texts=texts, length=4)
    made = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert main(["prepare", "texts", f"--data_dir={out}", f"--texts={texts}", "--length=4"]) == 0
    assert capsys.readouterr().out == f"texts is ready in {out}\n"
    assert "holds another data set already" in refused(f"--texts={texts}", "--length=5")
    with (texts / sorted(path.name for path in texts.glob("*.txt"))[0]).open("a") as file:
        file.write("more of it")
    assert "holds another data set already" in refused(f"--texts={texts}", "--length=4")
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == made
