r"""The pitch of a note, by the normalised difference of a signal and itself later.

McLeod and Wyvill (2005, A Smarter Way to Find Pitch, ICMC): of a window of W samples,

    n(tau) = 2 sum_j x_j x_(j+tau) / sum_j (x_j^2 + x_(j+tau)^2)                               (1)

is 1 where tau is a period, and never more; it is 1 - d'(tau) with d' the difference function
of YIN (de Cheveigne and Kawahara 2002), divided by the two energies. The first maximum after a
first fall below 0 that is at least a share of the largest is the period, refined by a parabola.
"""

from __future__ import annotations

import numpy as np

A4, A4_NUMBER = 440.0, 69  # Hz, and MIDI's number of it


def normalised_difference(x: np.ndarray, longest: int) -> np.ndarray:
    """Equation (1), float64 [..., longest + 1], of signals [..., W]; 0 where both are silent."""
    x = np.asarray(x, np.float64)
    size = x.shape[-1]
    length = 1 << (size + longest).bit_length()
    spectrum = np.fft.rfft(x, length)
    product = np.fft.irfft(np.abs(spectrum) ** 2, length)[..., : longest + 1]
    energy = np.concatenate([np.zeros((*x.shape[:-1], 1)), np.cumsum(x**2, -1)], -1)
    lags = np.arange(longest + 1)
    total = energy[..., size - lags] + energy[..., -1:] - energy[..., lags]
    silent = total <= 1e-12 * energy[..., -1:]
    return np.where(silent, 0, 2 * product / np.where(silent, 1, total))


def frequencies(
    x: np.ndarray,
    rate: int,
    low: float = 60.0,
    high: float = 2000.0,
    window: int = 2048,
    share: float = 0.9,
) -> np.ndarray:
    """The fundamental frequency of each signal: the median over windows of its louder half.

    Args:
        x: signals, [n, samples].
        rate: samples a second.
        low: least frequency that is looked for, Hz.
        high: largest, Hz.
        window: samples of a window; all of a shorter signal. Windows overlap by half.
        share: of the largest maximum, which the first that counts reaches.

    Returns:
        Hz, float64 [n]; NaN of a signal that has none.
    """
    x = np.asarray(x, np.float64)
    window = min(window, x.shape[-1])
    starts = range(0, x.shape[-1] - window + 1, max(1, window // 2))
    found = np.empty(len(x))
    for row, signal in enumerate(x):
        framed = np.stack([signal[s : s + window] for s in starts])
        framed = framed - framed.mean(-1, keepdims=True)
        energy = (framed**2).sum(-1)
        louder = framed[(energy > 0) & (energy >= np.median(energy))]
        periods = _periods(louder, rate / high, rate / low, share)
        heard = periods[np.isfinite(periods)]
        found[row] = rate / np.median(heard) if len(heard) else np.nan
    return found


def _periods(framed: np.ndarray, least: float, most: float, share: float) -> np.ndarray:
    """Samples of the period of each window, [n, W]; NaN where there is none in [least, most]."""
    longest = min(int(np.ceil(most)) + 1, framed.shape[-1] - 1)
    found = np.full(len(framed), np.nan)
    for row, n in enumerate(normalised_difference(framed, longest)):
        below = np.flatnonzero(n < 0)
        first = max(int(least), below[0]) if len(below) else longest
        middle = np.arange(max(1, first), longest)
        peaks = middle[(n[middle] > n[middle - 1]) & (n[middle] >= n[middle + 1]) & (n[middle] > 0)]
        if len(peaks):
            # Parabolas through a peak and its neighbours: of a short period no lag is near the top.
            left, at, right = n[peaks - 1], n[peaks], n[peaks + 1]
            bend = left - 2 * at + right
            heights = at - (left - right) ** 2 / (8 * bend)
            first = np.flatnonzero(heights >= share * heights.max())[0]
            found[row] = peaks[first] + 0.5 * ((left - right) / bend)[first]
    return found


def numbers(frequency: np.ndarray) -> np.ndarray:
    """MIDI numbers, 69 + 12 log2(f / 440), float64, of frequencies in Hz; NaN of NaN."""
    return A4_NUMBER + 12 * np.log2(np.asarray(frequency) / A4)


def frequency(number: np.ndarray | float) -> np.ndarray:
    """Hz of MIDI numbers; the inverse of `numbers`."""
    return A4 * 2 ** ((np.asarray(number, np.float64) - A4_NUMBER) / 12)
