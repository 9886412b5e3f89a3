"""Mel bands of signals of any rate, to look at and to compare by."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from score_sde.sound import mel
from score_sde.sound.stft import STFT

BANDS = 64
_FRAMES = 16  # a second, or fewer: a spectrum of 1/16 s tells the notes of a piano apart


def mel_bands(signals: jax.Array, rate: int) -> jax.Array:
    """Magnitudes of BANDS mel bands, or of fewer where a frame is short; by HTK's scale.

    A frame is the power of 2 from 1/16 s on, at least 64 samples, and begins a quarter of it after
    the one before.

    Args:
        signals: [n, samples], or [n, samples, channels], whose mean is taken.
        rate: samples a second.

    Returns:
        float32 [n, frames, bands].
    """
    mono = jnp.asarray(signals, jnp.float32)
    mono = mono if mono.ndim == 2 else mono.mean(axis=2)
    size = max(64, 1 << max(0, (rate // _FRAMES - 1).bit_length()))
    bank = mel.filters(rate, size, min(BANDS, size // 8))
    return jnp.abs(STFT(size, size // 4)(mono)) @ jnp.asarray(bank, jnp.float32)
