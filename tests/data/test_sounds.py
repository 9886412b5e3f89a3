"""Sets of a folder of WAV files, of any rate, with texts."""

import os
import signal

import numpy as np
import pytest

from score_sde import data
from score_sde.data import sounds, speech, stored
from score_sde.data.__main__ import main
from score_sde.errors import UserError
from score_sde.fields import decode_texts, words_of
from score_sde.sound import wav


def tone(rate, seconds, frequency=100):
    return 0.5 * np.sin(2 * np.pi * frequency * np.arange(round(rate * seconds)) / rate)


@pytest.fixture
def folder(tmp_path):
    """Sounds of several rates, some in folders, one in stereo, one with a text, one silent."""
    base = tmp_path / "in"
    wav.write(base / "a_low-tone.wav", tone(8000, 2.5), 8000)
    both = np.stack([tone(6000, 1), 0 * tone(6000, 1)], axis=1)
    wav.write(base / "deep" / "er" / "b.WAV", both, 6000)
    (base / "deep" / "er" / "b.txt").write_text("half as\nloud: f\u00fcr zwei\n" + "x" * 200)
    wav.write(base / "silent.wav", np.zeros(4000), 4000)
    (base / "notes.md").write_text("no sound")
    return base


def every(out):
    parts = []
    for split in ("train", "test"):
        try:
            source = data.load("encoded", split, data_dir=out)
        except data.SplitError:
            continue
        parts.append(source.gather(np.arange(len(source))))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def test_channels_are_kept_where_they_are_asked_for(folder, tmp_path, capsys):
    """One stands for all; a file of others is named."""
    out = tmp_path / "out"
    flags = [f"--sounds={folder}", f"--data_dir={out}", "--rate=4000", "--channels=2"]
    assert main(["prepare", "sounds", *flags]) == 0
    found = every(out)
    rows = [n for n, text in enumerate(decode_texts(found["text"])) if text.startswith("half")]
    stereo = np.delete(found["signal"], rows, axis=0)
    assert found["signal"].shape == (4, 4000, 2)
    np.testing.assert_array_equal(stereo[..., 0], stereo[..., 1])
    (one,) = found["signal"][rows]
    np.testing.assert_allclose(one[200:-200, 0], tone(4000, 1)[200:-200], atol=1e-3)
    assert not one[:, 1].any()
    capsys.readouterr()
    flags[1:] = (f"--data_dir={tmp_path / 'other'}", "--rate=4000", "--channels=3")
    assert main(["prepare", "sounds", *flags]) == 2
    said = capsys.readouterr().err
    assert "b.WAV has 2 channels, not 3" in said
    assert said.count("\n") == 1


def test_pieces_of_one_rate_with_their_texts(folder, tmp_path, capsys):
    out = tmp_path / "out"
    flags = (f"--sounds={folder}", f"--data_dir={out}", "--rate=4000", "--seconds=1")
    assert main(["prepare", "sounds", *flags]) == 0
    assert "left out, silent: 1 of 5 pieces" in capsys.readouterr().out
    found = every(out)
    texts = decode_texts(found["text"])
    rows = sorted(range(len(texts)), key=lambda n: (texts[n], found["start"][n]))
    assert [texts[n] for n in rows[:3]] == 3 * ["a low tone"]
    assert texts[rows[3]].startswith("half as loud: f\u00fcr zwei xxx")
    assert len(texts[rows[3]].encode()) == 128
    assert found["start"][rows].tolist() == [0, 1, 2, 0]
    assert found["seconds"][rows].tolist() == [2.5, 2.5, 2.5, 1]
    signals = found["signal"][rows]
    assert signals.shape == (4, 4000)
    np.testing.assert_allclose(signals[1], tone(4000, 1), atol=1e-3)
    np.testing.assert_allclose(signals[3][200:-200], tone(4000, 1)[200:-200] / 2, atol=1e-3)
    assert not signals[2, 2100:].any()  # silence after the end
    assert data.load("encoded", "train", data_dir=out).info["signal"].rate == 4000
    assert main(["prepare", "sounds", *flags]) == 0  # it is there
    assert "sounds is ready in" in capsys.readouterr().out


def test_a_preparation_that_is_stopped_leaves_no_part_of_a_set(
    folder, tmp_path, monkeypatch, capsys
):
    """Between two of its arrays; then the same command makes it."""
    saved, command = np.save, ["prepare", "sounds", f"--sounds={folder}"]
    command.append(f"--data_dir={tmp_path / 'sets' / 'out'}")

    def stopping(*given):
        saved(*given)
        signal.raise_signal(signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(stored.np, "save", stopping)
        assert main(command) == 143
    assert capsys.readouterr().err == "error: stopped by SIGTERM\n"
    assert not any((tmp_path / "sets").iterdir())
    assert main(command) == 0
    assert len(every(tmp_path / "sets" / "out")["signal"]) > 0


def test_a_tenth_of_the_files_is_held_out_with_all_pieces(tmp_path):
    for n in range(60):
        wav.write(tmp_path / "in" / f"{n}.wav", tone(1000, 2), 1000)
    found = sounds.splits(tmp_path / "in", 1000, 1.0, lambda line: None)
    names = {split: set(decode_texts(arrays["text"])) for split, arrays in found.items()}
    assert not names["train"] & names["test"]
    assert 2 <= len(names["test"]) <= 12
    assert all(len(arrays["text"]) == 2 * len(names[s]) for s, arrays in found.items())


def test_speech_is_made_by_the_same_code(folder, tmp_path, monkeypatch, capsys):
    """Of the installed package, or of a folder; else the command says how to get it."""
    monkeypatch.setattr(speech, "INSTALLED", tmp_path / "missing")
    where = f"--data_dir={tmp_path / 'sets'}"
    assert main(["prepare", "speech", where]) == 2
    message = capsys.readouterr().err
    assert "apt-get install asterisk-core-sounds-en-wav" in message
    assert message.count("\n") == 1
    monkeypatch.setattr(speech, "INSTALLED", folder)
    assert main(["prepare", "speech", where]) == 0
    source = data.load("speech", "train", data_dir=tmp_path / "sets")
    words = words_of(decode_texts(source.gather(np.arange(len(source)))["text"]))
    fields = sounds.fields(speech.RATE, speech.SECONDS, vocabulary=words)
    assert {"tone", "zwei"} < set(words)
    assert source.info.fields == fields
    assert "asterisk" in source.note
    assert main(["prepare", "speech", where, f"--from={folder}"]) == 0  # it is there


@pytest.mark.parametrize("content", [b"", b"RIFF" * 20, b"no sound"])
def test_what_is_no_sound_ends_in_one_line(folder, tmp_path, content):
    (folder / "bad.wav").write_bytes(content)
    with pytest.raises(UserError, match=r"bad\.wav .*take it out of the folder") as error:
        data.prepare("sounds", data_dir=tmp_path / "out", sounds=folder)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_ends_in_one_line(folder, tmp_path, capsys, monkeypatch):
    out = f"--data_dir={tmp_path / 'out'}"
    (tmp_path / "empty").mkdir()
    wav.write(tmp_path / "quiet" / "a.wav", np.zeros(9000), 8000)
    wav.write(tmp_path / "odd" / "a.wav", np.zeros(9000), 10)
    wav.write(tmp_path / "text" / "a.wav", tone(8000, 1), 8000)
    (tmp_path / "text" / "a.txt").write_bytes(b"\xff\xfe")
    wav.write(tmp_path / "named" / os.fsdecode(b"\xff.wav"), tone(8000, 1), 8000)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    for flags, message in (
        ([], "--sounds=FOLDER"),
        ([f"--sounds={tmp_path / 'empty'}"], "is no folder with files *.wav"),
        ([f"--sounds={tmp_path / 'missing'}"], "is no folder with files *.wav"),
        ([f"--sounds={tmp_path / 'quiet'}"], "too few sounds that can be heard"),
        ([f"--sounds={tmp_path / 'odd'}"], "10 samples a second"),
        ([f"--sounds={tmp_path / 'text'}"], "a.txt cannot be read as a text"),
        ([f"--sounds={tmp_path / 'named'}"], "\\udcff.wav is no text in UTF-8"),
        ([f"--sounds={folder}", "--texts=x"], "without: leave out texts"),
        ([f"--sounds={folder}", f"--data_dir={tmp_path / 'mine'}"], "mine is there already"),
    ):
        assert main(["prepare", "sounds", out, *flags]) == 2
        said = capsys.readouterr().err
        assert message in said
        assert said.count("\n") == 1
    for flag in ("--rate=999", "--seconds=0", "--seconds=-1"):
        assert main(["prepare", "sounds", f"--sounds={folder}", flag, out]) == 2
        assert flag.partition("=")[0] in capsys.readouterr().err
    monkeypatch.setattr(sounds, "_MOST", 9000)
    with pytest.raises(UserError, match="more than 9,000 samples together"):
        data.prepare("sounds", data_dir=tmp_path / "out", sounds=folder, rate=4000)
