"""Signals as states: there and back, what is measured, files and pictures."""

import wave

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from score_sde import fields, spaces
from score_sde.data import arrays
from score_sde.errors import UserError
from score_sde.sections import entries
from score_sde.sound import mel, pitch
from score_sde.sound.spectrogram import mel_bands
from score_sde.sound.stft import STFT
from score_sde.spaces import LogMel, Waveforms
from score_sde.spaces.signal import spectrograms

pytestmark = pytest.mark.slow

RATE = 4000
SMALL = {"frame": 256, "hop": 64, "bands": 24}


def log_mel(field, **options):
    defaults = {name: entry.default for name, entry in entries(LogMel).items()}
    return LogMel.of(field, **defaults | SMALL | options)


def tones(*frequencies, samples=2000):
    t = np.arange(samples) / RATE
    return np.stack([0.5 * np.sin(2 * np.pi * f * t) for f in frequencies]).astype(np.float32)


def source(signals, channels=0):
    field = fields.signal(signals.shape[1], RATE, channels)
    return arrays.source({"signal": signals}, split="train", fields=[field], hold_out=1000), field


@pytest.mark.parametrize("channels", [0, 2])
def test_waveforms_are_of_unit_variance_and_come_back(channels):
    rng = np.random.default_rng(0)
    signals = 0.1 * rng.standard_normal((9, 50, *([channels] if channels else [])))
    data, field = source(signals.astype(np.float32), channels)
    space = Waveforms.of(field).fitted(data, "signal")
    assert space.shape == field.shape
    x = space.encode(jnp.asarray(signals, jnp.float32))
    np.testing.assert_allclose((np.asarray(x) ** 2).mean(), 1, rtol=1e-5)
    np.testing.assert_allclose(space.decode(x), signals, rtol=1e-5)
    jacobian = jax.jacfwd(lambda v: space.encode(v[None])[0].ravel())(jnp.zeros(field.shape))
    exact = np.linalg.slogdet(np.reshape(jacobian, 2 * (np.prod(field.shape),)))[1]
    np.testing.assert_allclose(space.log_volume(signals), exact, rtol=1e-5)


def test_log_mel_is_its_equation():
    """Of each channel alone; silence after the signal fills the frames."""
    signals = np.random.default_rng(0).uniform(-1, 1, (3, 1000, 2)).astype(np.float32)
    data, field = source(signals, 2)
    space = log_mel(field).fitted(data, "signal")
    assert space.shape == (24, 24, 2)  # 17 frames and silence
    bank = mel.filters(RATE, 256, 24)
    padded = jnp.pad(jnp.asarray(signals), [(0, 0), (0, 23 * 64 - 1000), (0, 0)])
    spectra = np.abs([[STFT(256, 64)(padded[n, :, c]) for c in (0, 1)] for n in range(3)])
    logs = np.moveaxis(np.log(np.maximum(spectra @ bank, 1e-4)), 1, 3)
    mean = logs.mean((0, 1, 3))
    np.testing.assert_allclose(space.mean, mean, rtol=1e-4, atol=1e-4)
    deviation = np.sqrt(((logs - mean[:, None]) ** 2).mean())
    np.testing.assert_allclose(space.deviation, deviation, rtol=1e-4)
    x = space.encode(jnp.asarray(signals))
    np.testing.assert_allclose(x, (logs - mean[:, None]) / deviation, atol=1e-3)
    np.testing.assert_allclose((np.asarray(x) ** 2).mean(), 1, rtol=1e-3)
    volume = -24 * 24 * 2 * np.log(deviation)
    np.testing.assert_allclose(space.log_volume(signals), volume, rtol=1e-3)


def test_what_is_decoded_sounds_as_the_signal_did():
    """Its bands are those asked for, nearly, and its pitch is the same."""
    frequencies = np.array([150.0, 220.0, 330.0, 440.0])
    signals = tones(*frequencies)
    data, field = source(signals)
    space = log_mel(field).fitted(data, "signal")
    x = space.encode(jnp.asarray(signals))
    found = space.decode(x)
    assert found.shape == signals.shape
    heard = pitch.frequencies(np.asarray(found), RATE, window=1000)
    np.testing.assert_allclose(heard, frequencies, rtol=2 ** (1 / 24) - 1)  # half a semitone
    loud = np.asarray(x) > 1
    assert np.abs(np.asarray(space.encode(found)) - np.asarray(x))[loud].mean() < 0.25


def test_silence_is_decoded_to_silence():
    data, field = source(np.concatenate([np.zeros((1, 2000), np.float32), tones(300)]))
    space = log_mel(field).fitted(data, "signal")
    again = space.decode(space.encode(jnp.zeros((4, 2000))))
    assert float(jnp.abs(again).max()) < 1e-4


def test_what_was_measured_is_an_argument_of_what_is_compiled():
    data, field = source(tones(200, 300))
    space = log_mel(field).fitted(data, "signal")
    again = log_mel(field).with_arrays({n: a.tolist() for n, a in space.arrays().items()})
    x = space.encode(data.gather(np.arange(2))["signal"])
    np.testing.assert_array_equal(again.encode(data.gather(np.arange(2))["signal"]), x)
    traced = []
    run = jax.jit(lambda space, v: traced.append(1) or space.encode(v))
    run(space, jnp.zeros((1, 2000)))
    run(log_mel(field), jnp.zeros((1, 2000)))
    assert len(traced) == 1
    assert space.states["frame"] == 256
    assert space.protocol["phase_steps"] == 40


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hop": 100}, "multiple of 2 hops"),
        ({"bands": 1000}, "bands have no frequency"),
        ({"high": 3000.0}, "high 3000"),
        ({"scale": "bark"}, "htk"),
    ],
)
def test_what_cannot_be_is_one_line_with_the_field(options, message):
    section = {"name": "log_mel", "log_mel": {n: e.default for n, e in entries(LogMel).items()}}
    section["log_mel"] |= options
    with pytest.raises(ValueError, match=message) as error:
        spaces.read(section, fields.signal(2000, RATE))
    assert "config.space.log_mel" in str(error.value)
    assert "\n" not in str(error.value)


def test_silent_data_are_refused():
    data, field = source(np.zeros((3, 500), np.float32))
    for space in (Waveforms.of(field), log_mel(field)):
        with pytest.raises(UserError, match="is silent"):
            space.fitted(data, "signal")


def test_files_are_wav_of_16_bits(tmp_path):
    signals = tones(200, 300)
    Waveforms.of(fields.signal(2000, RATE)).save(tmp_path, ("a", "b"), signals)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["a.wav", "b.wav"]
    with wave.open(str(tmp_path / "b.wav")) as file:
        assert file.getparams()[:4] == (1, 2, RATE, 2000)
        levels = np.frombuffer(file.readframes(2000), "<i2")
    np.testing.assert_allclose(levels / 32767, signals[1], atol=1e-4)


@pytest.mark.parametrize("channels", [0, 2])
def test_pictures_are_spectrograms_of_the_size_that_is_said(tmp_path, channels):
    field = fields.signal(2000, RATE, channels)
    space = Waveforms.of(field)
    signals = tones(200, 300, 400, 500)
    signals = np.stack([signals, signals], -1) if channels else signals
    space.show(tmp_path / "a.png", signals)
    assert Image.open(tmp_path / "a.png").size == space.corner(2)


def test_a_spectrogram_is_bright_at_the_frequency_of_a_tone():
    """The brightest row, from below, is that of the band whose peak is nearest; silence is dark."""
    signals = np.concatenate([tones(300, 1200), np.zeros((1, 2000), np.float32)])
    pictures = spectrograms(signals, RATE)
    bands = mel_bands(signals, RATE).shape[2]
    down = pictures.shape[1] // bands  # pixels of each
    peaks = mel.hertz(np.linspace(0, mel.mel(RATE / 2), bands + 2))[1:-1]
    brightness = pictures.astype(float).sum((2, 3))
    for row, frequency in enumerate((300, 1200)):
        brightest = bands - 1 - brightness[row].argmax() // down
        assert abs(brightest - np.abs(peaks - frequency).argmin()) <= 1
    assert pictures[2].max() < 10


@pytest.mark.parametrize("rate", [10, 100, 8000, 44_100, 192_000])
def test_any_rate_has_a_picture(rate):
    assert spectrograms(np.zeros((1, 10)), rate).dtype == np.uint8
