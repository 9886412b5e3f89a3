r"""A distance of signals by their short-time spectra, which hardly hears phases.

The ear hears which frequencies there are and when, and quiet ones beside loud ones. So with A the
magnitudes of spectra of several sizes of frames (Yamamoto, Song and Kim 2020, arXiv 1910.11480,
Section 3.2; Stable Audio's autoencoder is trained on such ones too), over the size that noise of
unit variance has there,

    P(x, y) = mean over sizes of mean |A_x - A_y| + mean |c(A_x) - c(A_y)|,
    c(a) = f log(1 + a / f),                                                                   (1)

which is in the units of the signal: c is a itself where a is much less than f, and else grows by f
with each factor of e.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp

from score_sde.sound.stft import STFT

SIZES = (2048, 1024, 512, 256, 128, 64)  # of a frame, those that a signal is as long as
_FLOOR = 1e-2  # f
_TINY = 1e-12  # beside a square, of which the root has a gradient then


def distance(x: jax.Array, y: jax.Array) -> jax.Array:
    """Equation (1); [batch].

    Args:
        x: signals, [batch, samples] or [batch, samples, channels].
        y: others, of the same shape.
    """
    sizes = [size for size in SIZES if size <= x.shape[1]] or SIZES[-1:]
    return sum(_of_size(x, y, STFT(size, size // 4)) for size in sizes) / len(sizes)


def _of_size(x: jax.Array, y: jax.Array, stft: STFT) -> jax.Array:
    a, b = (_magnitudes(signals, stft) for signals in (x, y))
    axes = tuple(range(1, a.ndim))
    compressed = _FLOOR * jnp.abs(jnp.log1p(a / _FLOOR) - jnp.log1p(b / _FLOOR))
    return jnp.mean(jnp.abs(a - b) + compressed, axis=axes)


def _magnitudes(signals: jax.Array, stft: STFT) -> jax.Array:
    """A, [batch, (channels,) frames, bins]."""
    spectra = stft(jnp.moveaxis(signals, 1, -1))
    root = jnp.sqrt(spectra.real**2 + spectra.imag**2 + _TINY)
    return root / math.sqrt((stft.window**2).sum())
