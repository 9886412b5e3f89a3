"""WAV files: 16 bits are written; 8, 16, 24 and 32 are read, as whole numbers."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np

from score_sde.errors import UserError, first_line
from score_sde.files import regular, replacing

_FULL = 32767  # of 16 bits
_STREAM = 2**31 - 2**16  # bytes that are claimed, from here on, by what did not know how many come


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
        path: of PCM.
        most: samples that are read; those after them are left out.

    Returns:
        float32 [samples, channels] in [-1, 1], and the rate in Hz.

    Raises:
        UserError: it cannot be read, or is of another form.
    """
    try:
        with regular(path) as file, wave.open(file, "rb") as found:
            size, channels, rate = found.getsampwidth(), found.getnchannels(), found.getframerate()
            if size > 4:
                raise ValueError(f"it has {8 * size} bits a sample: at most 32 are read")
            claimed, frame = found.getnframes(), size * channels
            content = found.readframes(min(claimed, most))
    except EOFError as error:  # which has no words
        raise UserError(f"cannot read {path} (it ends early)") from error
    except (OSError, ValueError, wave.Error) as error:
        raise UserError(f"cannot read {path} ({first_line(error)})") from error
    if rate < 1:
        raise UserError(f"cannot read {path} (it has {rate} samples a second)")
    short = len(content) < frame * min(claimed, most) and frame * claimed < _STREAM
    if short or len(content) % frame:
        raise UserError(f"cannot read {path} (it ends early)")
    return _signal(content, size).reshape(-1, channels), rate


def _signal(content: bytes, size: int) -> np.ndarray:
    """Samples of so many bytes, float32, from -1 to 1 at full scale."""
    raw = np.frombuffer(content, np.uint8).reshape(-1, size)
    # As the high bytes of whole numbers of 32 bits; 8 bits have 128 for silence.
    wide = np.zeros((len(raw), 4), np.uint8)
    wide[:, 4 - size :] = raw ^ 128 if size == 1 else raw
    full = 2 ** (8 * size - 1) - 1
    levels = wide.view("<i4")[:, 0].astype(np.float64) / 2 ** (32 - 8 * size)
    return (levels / full).astype(np.float32)
