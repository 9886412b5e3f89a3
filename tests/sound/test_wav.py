"""WAV files: what is written is read again, and what is none ends in one line."""

import wave

import numpy as np
import pytest

from score_sde.errors import UserError
from score_sde.sound import wav


@pytest.mark.parametrize("shape", [(100,), (100, 1), (100, 2)])
def test_a_signal_is_read_as_it_was_written(tmp_path, shape):
    signal = np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)
    wav.write(tmp_path / "in" / "a.wav", signal, 22050)
    again, rate = wav.read(tmp_path / "in" / "a.wav", 1000)
    assert rate == 22050
    np.testing.assert_allclose(again, signal.reshape(100, -1), atol=0.5 / 32767 + 1e-7)
    assert [path.name for path in (tmp_path / "in").iterdir()] == ["a.wav"]


def test_the_standard_library_reads_16_bits(tmp_path):
    wav.write(tmp_path / "a.wav", np.array([0, 1, -1, 2.0]), 8000)
    with wave.open(str(tmp_path / "a.wav")) as file:
        assert file.getparams()[:4] == (1, 2, 8000, 4)
        assert np.frombuffer(file.readframes(4), "<i2").tolist() == [0, 32767, -32767, 32767]


def test_only_so_much_is_read(tmp_path):
    wav.write(tmp_path / "a.wav", np.zeros(100), 8000)
    assert wav.read(tmp_path / "a.wav", 30)[0].shape == (30, 1)


def test_what_is_no_such_file_is_one_line(tmp_path):
    good = tmp_path / "good.wav"
    wav.write(good, np.zeros(100), 8000)
    content = good.read_bytes()
    eight = tmp_path / "eight.wav"
    with wave.open(str(eight), "wb") as file:
        file.setparams((1, 1, 8000, 0, "NONE", "none"))
        file.writeframes(bytes(10))
    bad = {"empty": b"", "text": b"no sound", "header": content[:20], "riff": b"RIFF" * 20}
    bad["rate"] = content[:24] + bytes(4) + content[28:]
    for name, part in bad.items():
        (tmp_path / name).write_bytes(part)
    for name in (*bad, "eight.wav", "missing", "."):
        with pytest.raises(UserError, match="cannot read") as error:
            wav.read(tmp_path / name, 1000)
        assert "\n" not in str(error.value)
