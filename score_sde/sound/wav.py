"""WAV files of 16 bits: what is written, and what is read of them."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np

from score_sde.errors import UserError, first_line
from score_sde.files import regular, replacing

_FULL = 32767  # of 16 bits


def write(path: Path, signal: np.ndarray, rate: int) -> None:
    """Write a signal whole or not at all; its folder is made.

    Args:
        path: where.
        signal: float, [samples] or [samples, channels]; what is outside of [-1, 1] is clipped.
        rate: samples a second.
    """
    signal = np.asarray(signal)
    levels = np.rint(np.clip(signal, -1, 1) * _FULL).astype("<i2")
    with replacing(path) as file, wave.open(file, "wb") as out:
        out.setnchannels(1 if signal.ndim == 1 else signal.shape[1])
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(levels.tobytes())


def read(path: Path, most: int) -> tuple[np.ndarray, int]:
    """The signal of a file, and its samples a second.

    Args:
        path: of 16-bit PCM.
        most: samples that are read; those after them are left out.

    Returns:
        float32 [samples, channels] in [-1, 1], and the rate in Hz.

    Raises:
        UserError: it cannot be read, or is of another form.
    """
    try:
        with regular(path) as file, wave.open(file, "rb") as found:
            if found.getsampwidth() != 2:
                raise ValueError(f"it has {8 * found.getsampwidth()} bits a sample: 16 are read")
            channels, rate = found.getnchannels(), found.getframerate()
            content = found.readframes(min(found.getnframes(), most))
    except (OSError, EOFError, ValueError, wave.Error) as error:
        raise UserError(f"cannot read {path} ({first_line(error) or 'it ends early'})") from error
    if rate < 1 or len(content) % (2 * channels):
        raise UserError(f"cannot read {path} (it ends early)")
    levels = np.frombuffer(content, "<i2").reshape(-1, channels)
    return levels.astype(np.float32) / _FULL, rate
