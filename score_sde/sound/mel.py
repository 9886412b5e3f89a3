r"""Mel bands: frequencies as far apart as they sound.

HTK's scale (Young et al., The HTK Book, Section 5.4) is

    mel(f) = 2595 log10(1 + f / 700),                                                          (1)

and that of Slaney's Auditory Toolbox (1998) is linear below 1 kHz and logarithmic above,

    mel(f) = 3 f / 200,    15 + 27 log(f / 1000) / log(6.4)    above f = 1000.                 (2)

A bank of B bands has B + 2 edges f_0 < ... < f_(B+1), evenly spaced in mel. Band b is a triangle:
0 at f_b, 1 at f_(b+1), 0 at f_(b+2). With HTK's it stays so, and the bands add up to 1 between
f_1 and f_B; with Slaney's each is divided by its area, (f_(b+2) - f_b) / 2 Hz.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

SCALES = ("htk", "slaney")
_LINEAR, _BREAK, _STEP = 3 / 200, 1000.0, np.log(6.4) / 27


def mel(frequency: np.ndarray | float, scale: str = "htk") -> np.ndarray:
    """Equation (1) or (2), of frequencies in Hz; of their shape."""
    f = np.asarray(frequency, np.float64)
    if scale == "htk":
        return 2595 * np.log10(1 + f / 700)
    above = _BREAK * _LINEAR + np.log(np.maximum(f, _BREAK) / _BREAK) / _STEP
    return np.where(f < _BREAK, _LINEAR * f, above)


def hertz(mels: np.ndarray | float, scale: str = "htk") -> np.ndarray:
    """The inverse of `mel`, Hz."""
    m = np.asarray(mels, np.float64)
    if scale == "htk":
        return 700 * (10 ** (m / 2595) - 1)
    at_break = _BREAK * _LINEAR
    above = _BREAK * np.exp(_STEP * (np.maximum(m, at_break) - at_break))
    return np.where(m < at_break, m / _LINEAR, above)


def filters(
    rate: int,
    size: int,
    bands: int,
    low: float = 0.0,
    high: float | None = None,
    scale: str = "htk",
) -> np.ndarray:
    """The triangles at the frequencies of a Fourier transform, float64 [size / 2 + 1, bands].

    Args:
        rate: samples a second.
        size: samples of a frame.
        bands: how many.
        low: f_0, Hz.
        high: f_(B+1), Hz; half of the rate if None.
        scale: one of SCALES, which says whether the triangles are divided by their areas too.

    Raises:
        ValueError: low and high are not in order within [0, rate / 2], or a band is so narrow that
            it has no frequency.
    """
    high = rate / 2 if high is None else high
    if not 0 <= low < high <= rate / 2:
        raise ValueError(
            f"low is {low:g} Hz and high {high:g}: give 0 <= low < high <= {rate / 2:g}"
        )
    edges = hertz(np.linspace(mel(low, scale), mel(high, scale), bands + 2), scale)
    f = np.arange(size // 2 + 1)[:, None] * (rate / size)
    rising = (f - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - f) / (edges[2:] - edges[1:-1])
    found = np.maximum(0, np.minimum(rising, falling))
    if (empty := ~found.any(0)).any():
        raise ValueError(
            f"{empty.sum()} of {bands} bands have no frequency of a frame of {size} samples: take "
            "fewer bands or longer frames"
        )
    return found * (2 / (edges[2:] - edges[:-2]) if scale == "slaney" else 1)


def magnitudes(bank: jax.Array, mels: jax.Array, steps: int = 100) -> jax.Array:
    r"""Non-negative magnitudes s whose bands s F are nearest to those given.

    The multiplicative steps s <- s (m F^T) / (s F F^T) of Lee and Seung (2001, Algorithms for
    Non-negative Matrix Factorization, Theorem 1) never go away from them. A frequency that no band
    has is 0.

    Args:
        bank: F, of `filters`, [bins, bands].
        mels: m, not negative, [..., bands].
        steps: how many.

    Returns:
        [..., bins].
    """
    wanted = mels @ bank.T
    tiny = jnp.finfo(wanted.dtype).tiny

    def step(_: int, s: jax.Array) -> jax.Array:
        return s * wanted / jnp.maximum((s @ bank) @ bank.T, tiny)

    return jax.lax.fori_loop(0, steps, step, wanted)
