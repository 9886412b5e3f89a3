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


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_bits_of_a_sample_make_no_difference(tmp_path, size):
    full = 2 ** (8 * size - 1) - 1
    levels = [0, full, -full, full // 2]
    shift = 128 if size == 1 else 0  # 8 bits have no sign
    content = b"".join((n + shift).to_bytes(size, "little", signed=size > 1) for n in levels)
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setparams((1, size, 8000, 0, "NONE", "none"))
        file.writeframes(content)
    found, _ = wav.read(tmp_path / "a.wav", 10)
    np.testing.assert_allclose(found[:, 0], [0, 1, -1, 0.5], atol=0.5 / full + 1e-7)


def test_only_so_much_is_read(tmp_path):
    wav.write(tmp_path / "a.wav", np.zeros(100), 8000)
    assert wav.read(tmp_path / "a.wav", 30)[0].shape == (30, 1)


def test_what_broke_off_is_refused_and_what_was_streamed_is_not(tmp_path):
    """A stream begins before its length is known, and claims as many bytes as can be."""
    path = tmp_path / "a.wav"
    wav.write(path, np.ones(100), 8000)
    content = path.read_bytes()
    for end in (0, 20, 44, 45, 46, 144, 243):
        path.write_bytes(content[:end])
        with pytest.raises(UserError, match=r"a.wav .it ends early.$"):
            wav.read(path, 1000)
    path.write_bytes(content[:144])  # of which no more is asked for
    assert wav.read(path, 50)[0].shape == (50, 1)
    for claimed in (2**31 - 37, 2**31, 2**32 - 1):
        path.write_bytes(content[:40] + claimed.to_bytes(4, "little") + content[44:])
        assert wav.read(path, 1000)[0].shape == (100, 1)


def test_what_is_no_such_file_is_one_line(tmp_path):
    good = tmp_path / "good.wav"
    wav.write(good, np.zeros(100), 8000)
    content = good.read_bytes()
    bad = {"empty": b"", "text": b"no sound", "header": content[:20], "riff": b"RIFF" * 20}
    bad["rate"] = content[:24] + bytes(4) + content[28:]
    for name, part in bad.items():
        (tmp_path / name).write_bytes(part)
    bad["bits"] = content[:32] + b"\x08\0" + b"\x40\0" + content[36:]  # 64 a sample
    for name in (*bad, "missing", "."):
        with pytest.raises(UserError, match="cannot read") as error:
            wav.read(tmp_path / name, 1000)
        assert "\n" not in str(error.value)
