"""Time grids: where a fixed-step solver evaluates the denoiser.

A grid is a function (sde, steps) -> t, float64 NumPy [steps], that falls from t_max to t_min
(both exactly; only t_max for steps = 1). Each is a straight line in another variable than t.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from score_sde.processes import SDE

MOST_STEPS = 1_000_000  # a grid and the coefficients of its steps are made on the host


def _line(
    sde: SDE,
    steps: int,
    forward: Callable[[np.ndarray], np.ndarray],
    inverse: Callable[[np.ndarray], np.ndarray],
) -> np.ndarray:
    """The times at which forward(t) is equally spaced; ValueError if it is infinite at an end."""
    with np.errstate(divide="ignore"):  # reported here
        first, last = forward(np.array([sde.t_max, sde.t_min], np.float64))
    if not np.isfinite([first, last]).all():
        raise ValueError(
            f"{sde} ends at a signal-to-noise ratio of 0, which this grid cannot reach: "
            "use a smaller t_max, or the uniform grid"
        )
    t = np.array(inverse(np.linspace(first, last, steps)), np.float64)
    t[-1] = sde.t_min  # forward and inverse round: put the ends back
    t[0] = sde.t_max
    return t


def uniform(sde: SDE, steps: int) -> np.ndarray:
    """Equally spaced in t: the grid of Song et al. 2021 (arXiv 2011.13456)."""
    return _line(sde, steps, lambda t: t, lambda t: t)


def log_snr(sde: SDE, steps: int) -> np.ndarray:
    """Equally spaced in log SNR (Lu et al. 2022, DPM-Solver, arXiv 2206.00927, Section 3.4)."""
    return _line(sde, steps, sde.log_snr, sde.time_at_log_snr)


def quadratic(sde: SDE, steps: int) -> np.ndarray:
    """Equally spaced in sqrt(t) (Song et al. 2020, DDIM, arXiv 2010.02502, Appendix D.2)."""
    return _line(sde, steps, np.sqrt, np.square)


def karras(sde: SDE, steps: int, rho: float = 7.0) -> np.ndarray:
    """Equally spaced in (sigma / alpha)^(1 / rho) (Karras et al. 2022, arXiv 2206.00364, eq. 5)."""
    return _line(
        sde,
        steps,
        lambda t: np.exp(-sde.log_snr(t) / (2 * rho)),
        lambda ratio: sde.time_at_log_snr(-2 * rho * np.log(ratio)),
    )


GRIDS: dict[str, Callable[[SDE, int], np.ndarray]] = {
    "uniform": uniform,
    "log_snr": log_snr,
    "karras": karras,
    "quadratic": quadratic,
}
