"""Signals: what all of their spaces share, how they are written and shown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from score_sde.sound import wav
from score_sde.sound.spectrogram import mel_bands
from score_sde.spaces import pictures
from score_sde.spaces.base import Space

_WIDEST = 256  # frames of a picture
_HIGH, _LONG = 192, 512  # pixels that bands and frames are enlarged to, about and at the most
_DECIBELS = 80  # below the loudest, which is as dark as silence


class Signal(Space):
    """A space of signals that decodes to them.

    Attributes:
        field_shape: of an example, (samples,) or (samples, channels).
        rate: samples a second.
    """

    KINDS: ClassVar[tuple[str, ...]] = ("signal",)
    MOST: ClassVar[int] = 64
    FEW: ClassVar[int] = 36
    field_shape: tuple[int, ...]
    rate: int

    @property
    def ending(self) -> str:
        """Of files; see Space."""
        return "wav"

    def save(self, folder: Path, names: Sequence[str], examples: np.ndarray) -> None:
        """As .wav, of 16 bits; what is outside of [-1, 1] is clipped."""
        for name, example in zip(names, examples, strict=True):
            wav.write(folder / f"{name}.wav", example, self.rate)

    def corner(self, count: int) -> tuple[int, int]:
        """That of so many spectrograms across and down."""
        height, width = spectrograms(np.zeros((1, *self.field_shape)), self.rate).shape[1:3]
        return pictures.picture_size(height, width, count, count)

    def show(
        self,
        path: Path,
        examples: np.ndarray,
        columns: int | None = None,
        captions: Sequence[str] = (),
    ) -> None:
        """Spectrograms side by side: time to the right, mel bands upwards, each in decibels."""
        pictures.save_grid(path, spectrograms(np.asarray(examples), self.rate), columns, captions)


def spectrograms(signals: np.ndarray, rate: int) -> np.ndarray:
    """Log-mel spectrograms as pictures, from the loudest of each to 80 dB below.

    Args:
        signals: [n, samples] or [n, samples, channels], whose mean is shown.
        rate: samples a second.

    Returns:
        uint8 [n, height, width, 3].
    """
    import matplotlib

    spectra = np.asarray(mel_bands(signals, rate))
    stride = -(-spectra.shape[1] // _WIDEST)
    loud = np.stack([spectra[:, i : i + stride].max(1) for i in range(0, spectra.shape[1], stride)])
    decibels = 20 * np.log10(np.maximum(loud.transpose(1, 2, 0)[:, ::-1], 1e-12))
    loudest = np.maximum(decibels.max((1, 2), keepdims=True), -_DECIBELS)  # silence stays dark
    levels = np.clip(1 + (decibels - loudest) / _DECIBELS, 0, 1)
    found = matplotlib.colormaps["magma"](levels, bytes=True)[..., :3]
    down = max(1, round(_HIGH / found.shape[1]))
    return found.repeat(down, axis=1).repeat(min(down, _LONG // found.shape[2]), axis=2)


def by_channel(signals: jax.Array) -> jax.Array:
    """[batch, samples] or [batch, samples, channels] as [batch, channels, samples]."""
    return signals[:, None] if signals.ndim == 2 else jnp.moveaxis(signals, 2, 1)
