r"""Signals at another rate, by band-limited interpolation (Smith and Gossett 1984, ICASSP).

A signal of no frequency from half of its rate on is known between its samples. With c the share of
its band that the new rate keeps, and w Kaiser's window of half-width Z / c (Kaiser 1974),

    y(p) = sum_n x_n h(p - n) / sum_n h(p - n),    h(t) = sinc(c t) w(t),                      (1)

for p in samples of x; the sum below keeps what is constant as it is. What lies below 0.85 of the
lower Nyquist frequency stays, and what lies above 1.05 of it is gone, both to 1e-4.
"""

from __future__ import annotations

import math

import numpy as np

_ZEROS = 32  # Z, of the sinc on either side
_BETA = 10.0  # of Kaiser's window: side lobes of -100 dB
_SHARE = 0.95  # of the lower Nyquist frequency, in the middle of where the band falls off


def resample(x: np.ndarray, rate: int, new: int) -> np.ndarray:
    """Equation (1).

    Args:
        x: [samples]; zeros are thought before and after it.
        rate: samples a second of x.
        new: likewise of the result, which begins at the same time.

    Returns:
        Of the dtype of x, [ceil(samples new / rate)]; x itself for the same rate, or of none.
    """
    if rate == new or not len(x):
        return x
    up, down = new // math.gcd(rate, new), rate // math.gcd(rate, new)
    share = _SHARE * min(1.0, up / down)
    reach = math.ceil(_ZEROS / share)
    taps = np.arange(-reach, reach + 1)
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(x, reach), len(taps))
    found = np.empty(-(-len(x) * up // down), x.dtype)
    for first in range(min(up, len(found))):  # samples that lie alike between those of x
        start, left = divmod(first * down, up)
        away = left / up - taps
        inside = np.sqrt(np.maximum(1 - (away * share / _ZEROS) ** 2, 0))
        kernel = np.where(np.abs(away) * share <= _ZEROS, np.i0(_BETA * inside), 0)
        kernel *= np.sinc(share * away)
        found[first::up] = windows[start::down] @ (kernel / kernel.sum())
    return found
