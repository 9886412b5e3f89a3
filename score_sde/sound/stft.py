r"""The short-time Fourier transform and its inverse.

Frame m of a signal x of n samples is centred on sample m hop,

    X_m(k) = sum_j w(j) x(m hop + j - N / 2) exp(-2 pi i j k / N),    0 <= k <= N / 2,         (1)

with w the periodic Hann window of N samples and zeros before and after the signal. There are
1 + ceil(n / hop) frames, so that every sample lies between two centres. The inverse of Griffin and
Lim (1984, IEEE TASSP 32(2), equation 6) is the least-squares one,

    x(t) = sum_m w(t - m hop + N / 2) x_m(t) / sum_m w(t - m hop + N / 2)^2,                   (2)

x_m the inverse Fourier transform of X_m. It gives a signal back from its own spectra, and of any
other array of spectra the signal whose own are nearest.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np


@dataclasses.dataclass(frozen=True)
class STFT:
    """Equations (1) and (2).

    Attributes:
        size: N, samples of a frame, a multiple of 2 hops.
        hop: samples from one frame to the next.

    Raises:
        ValueError: size is no multiple of 2 hops.
    """

    size: int
    hop: int

    def __post_init__(self) -> None:
        if self.hop < 1 or self.size < 1 or self.size % (2 * self.hop):
            raise ValueError(f"size is {self.size}: give a multiple of 2 hops, each {self.hop}")

    @property
    def bins(self) -> int:
        """Frequencies of a frame, N / 2 + 1."""
        return self.size // 2 + 1

    @property
    def window(self) -> np.ndarray:
        """w, float64 [N]: sin^2(pi j / N)."""
        return np.sin(np.pi * np.arange(self.size) / self.size) ** 2

    def frames(self, samples: int) -> int:
        """Frames of a signal of so many samples."""
        return 1 + -(-samples // self.hop)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Spectra, complex [..., frames, bins], of signals, [..., samples]."""
        count, room = self.frames(x.shape[-1]), self.size // 2
        after = (count - 1) * self.hop - x.shape[-1] + room
        padded = jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(room, after)])
        rows = padded.reshape(*x.shape[:-1], -1, self.hop)
        parts = self.size // self.hop
        framed = [rows[..., j : j + count, :] for j in range(parts)]
        framed = jnp.concatenate(framed, axis=-1)
        return jnp.fft.rfft(framed * _along(self.window, framed))

    def inverse(self, spectra: jax.Array, samples: int) -> jax.Array:
        """Signals, [..., samples], of spectra, complex [..., frames, bins].

        Raises:
            ValueError: a signal of so many samples has another number of frames.
        """
        count = spectra.shape[-2]
        if count != self.frames(samples):
            raise ValueError(
                f"{count} frames are of another signal: one of {samples} samples has "
                f"{self.frames(samples)}"
            )
        found = jnp.fft.irfft(spectra, n=self.size)
        kept = slice(self.size // 2, self.size // 2 + samples)
        added = self._added(found * _along(self.window, found))[..., kept]
        weight = self._added(np.tile(self.window**2, (count, 1)))[kept]
        return added / _along(weight, added)

    def _added(self, framed: jax.Array) -> jax.Array:
        """Frames, [..., frames, N], laid where they are from and added up."""
        parts = self.size // self.hop
        rows = framed.reshape(*framed.shape[:-1], parts, self.hop)
        leading = [(0, 0)] * (framed.ndim - 2)
        laid = [
            jnp.pad(rows[..., j, :], [*leading, (j, parts - 1 - j), (0, 0)]) for j in range(parts)
        ]
        return sum(laid).reshape(*framed.shape[:-2], -1)


def _along(values: jax.Array | np.ndarray, array: jax.Array) -> jax.Array:
    """Numbers along the last axis of an array, of its dtype and number of axes."""
    return jnp.asarray(values, array.dtype).reshape((1,) * (array.ndim - 1) + (-1,))
