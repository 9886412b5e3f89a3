"""Time grids: where a fixed-step solver evaluates the denoiser.

A grid is a function (sde, steps) -> t, float64 NumPy [steps], that falls. Those that are a straight
line in another variable than t go from t_max to t_min (both exactly; only t_max for steps = 1). The
spacings of models with discrete times go through noise levels, and "leading" begins below t_max.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Annotated, Self

import numpy as np

from score_sde.processes import SDE
from score_sde.values import Positive, between, one_of

_ROUNDED = 1e-9  # of t_min: times that are computed may come out below it
MOST_STEPS = 1_000_000  # a grid and the coefficients of its steps are made on the host


def _line(
    sde: SDE,
    steps: int,
    forward: Callable[[np.ndarray], np.ndarray],
    inverse: Callable[[np.ndarray], np.ndarray],
) -> np.ndarray:
    """The times at which forward(t) is equally spaced; ValueError if it is infinite at an end."""
    with np.errstate(divide="ignore", over="ignore"):  # reported here
        first, last = forward(np.array([sde.t_max, sde.t_min], np.float64))
    if not np.isfinite([first, last]).all():
        if sde.alpha(np.float64(sde.t_max)):
            raise ValueError(f"this grid is not finite for {sde}: use another rho, or another grid")
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


def shift(sde: SDE, steps: int, shift: float = 3.0) -> np.ndarray:
    """Equally spaced in the time u of a flow, its noise level then multiplied by `shift`.

    With sigma / alpha = u / (1 - u) of the straight path, times of resolution-dependent flow models
    are u' = shift u / (1 + (shift - 1) u), which is sigma / alpha times `shift` (Esser et al. 2024,
    arXiv 2403.03206, equation 23). The ends stay t_max and t_min.
    """
    return _line(sde, steps, lambda t: _unshifted(sde, t, shift), lambda u: _shifted(sde, u, shift))


def trailing_shift(sde: SDE, steps: int, shift: float = 3.0) -> np.ndarray:
    """That of `shift` from t_max to the data, without these: u (1 - i / steps), as Flux has it."""
    first = _unshifted(sde, np.float64(sde.t_max), shift)
    t = _shifted(sde, first * (1 - np.arange(steps) / steps), shift)
    t[0] = sde.t_max
    return t


def leading(sde: SDE, steps: int, offset: int = 0) -> np.ndarray:
    """Levels 0, k, 2k, ... with k = N // steps, from the last (Song et al. 2020, 2010.02502).

    With an offset of 1 they are 1, 1 + k, ..., as Stable Diffusion has them.
    """
    levels = offset + np.arange(steps)[::-1] * (_levels(sde, steps) // steps)
    return _at_levels(sde, np.minimum(levels, sde.scales - 1))


def trailing(sde: SDE, steps: int) -> np.ndarray:
    """Levels N - 1, N - 1 - k, ..., k = N / steps (Lin et al. 2023, arXiv 2305.08891, Table 2)."""
    number = _levels(sde, steps)
    return _at_levels(sde, np.round(number - np.arange(steps) * (number / steps)) - 1)


def linspace(sde: SDE, steps: int) -> np.ndarray:
    """Levels N - 1 to 0, equally spaced, rounded (Lin et al. 2023, arXiv 2305.08891, Table 2)."""
    return _at_levels(sde, np.round(np.linspace(0, _levels(sde, steps) - 1, steps))[::-1])


def linspace_open(sde: SDE, steps: int) -> np.ndarray:
    """The levels of `linspace` for one step more, without level 0."""
    _levels(sde, steps)
    return linspace(sde, steps + 1)[:-1]


def between_levels(sde: SDE, steps: int) -> np.ndarray:
    """Levels N - 1 to 0, equally spaced, not rounded: sigma / alpha is linear between two of them.

    So released pipelines place the steps of methods in sigma / alpha, such as euler.
    """
    last = _levels(sde, steps) - 1
    ratio = np.exp(-0.5 * sde.log_snr(np.maximum(np.arange(last + 1) / last, sde.t_min)))
    level = np.linspace(last, 0, steps)
    t = sde.time_at_log_snr(-2 * np.log(np.interp(level, np.arange(last + 1), ratio)))
    return np.where(level == np.round(level), _at_levels(sde, level), t)


def tuned(sde: SDE, steps: int) -> np.ndarray:
    """Tuned for one run and one sampler; runs.tuned puts the times in its place."""
    raise ValueError(
        "the tuned grid is of a run: tune it (python -m score_sde.samplers.tune RUN), then sample "
        "or evaluate that run"
    )


def whole_steps(steps: int, share: float) -> int:
    """How many steps a share of them is, which has one at least.

    Raises:
        ValueError: it has none, or it is no share.
    """
    if not 0 < share <= 1:
        raise ValueError(f"a share of the steps is above 0 and at most 1, not {share:g}")
    kept = int(share * steps + 1e-9)  # 0.58 of 50 is 29
    if not kept:
        raise ValueError(
            f"{share:g} of {steps} steps is less than one: give {1 / steps:.2g} or more steps"
        )
    return kept


def _unshifted(sde: SDE, t: np.ndarray, shift: float) -> np.ndarray:
    """u of the straight path at which sigma / alpha is 1 / shift of that at t."""
    return sde.sigma(t) / (sde.sigma(t) + shift * sde.alpha(t))


def _shifted(sde: SDE, u: np.ndarray, shift: float) -> np.ndarray:
    """The times at which sigma / alpha is `shift` times that of the straight path at u."""
    with np.errstate(divide="ignore"):  # at u = 1
        t = sde.time_at_log_snr(-2 * np.log(shift * u / (1 - u)))
    return np.clip(t, sde.t_min, sde.t_max)


def _levels(sde: SDE, steps: int) -> int:
    """The number of levels of a discrete sequence, if there are so many steps among them."""
    if sde.scales is None:
        raise ValueError(
            f"{sde} has no discrete levels, which leading, trailing and linspace are spacings of: "
            "use the uniform grid"
        )
    if steps > sde.scales:
        raise ValueError(f"{steps} times are more than the {sde.scales} levels of {sde}")
    return sde.scales


def _at_levels(sde: SDE, level: np.ndarray) -> np.ndarray:
    """The times of levels; that of level 0 is t_min."""
    return np.maximum(level / (sde.scales - 1), sde.t_min)


# Those that say where a model is evaluated, and not where its last step leads: that is t_min.
OPEN = ("leading", "trailing", "linspace_open", "trailing_shift")
# The options that grids have, by the grid.
OPTIONS = {
    "karras": ("rho",),
    "shift": ("shift",),
    "trailing_shift": ("shift",),
    "leading": ("offset",),
}

GRIDS: dict[str, Callable[..., np.ndarray]] = {
    "uniform": uniform,
    "log_snr": log_snr,
    "exponential": log_snr,  # sigma / alpha falls exponentially: the same
    "karras": karras,
    "quadratic": quadratic,
    "shift": shift,
    "trailing_shift": trailing_shift,
    "leading": leading,
    "trailing": trailing,
    "linspace": linspace,
    "linspace_open": linspace_open,
    "between_levels": between_levels,
    "tuned": tuned,
}


@dataclasses.dataclass(frozen=True)
class TimeGrid:
    """The times of a fixed-step sampler.

    Attributes:
        steps: how many evaluations of the denoiser a method of one stage makes.
        grid: a key of GRIDS.
        times: the times themselves, falling, from t_max at most to t_min at least, in place of
            `steps` and `grid`; () for those.
        rho: of the grid "karras".
        shift: of the grids "shift" and "trailing_shift".
        offset: levels by which the grid "leading" begins and ends above its own.
    """

    steps: Annotated[int, between(1, MOST_STEPS)] = 20
    grid: Annotated[str, one_of(GRIDS)] = "log_snr"
    times: tuple[Positive, ...] = ()
    rho: Positive = 7.0
    shift: Positive = 3.0
    offset: Annotated[int, between(0, 1000)] = 0

    def at(self, sde: SDE, number: int) -> np.ndarray:
        """The times, float64 NumPy: `number` of them, unless they are given.

        Raises:
            ValueError: the process cannot have them.
        """
        options = {name: getattr(self, name) for name in OPTIONS.get(self.grid, ())}
        if self.times:
            t = np.array(self.times, np.float64)
        else:
            with np.errstate(all="ignore"):  # reported here
                t = GRIDS[self.grid](sde, number, **options)
        if not (np.diff(t) < 0).all():
            raise ValueError(
                "times must fall from each to the next, from noise to data"
                if self.times
                else f"{self.named} are not different times of {sde}: take fewer steps, or another "
                "grid (of another rho or shift)"
            )
        if not t[0] <= sde.t_max:
            raise ValueError(f"{self.named} begin at {t[0]:g}, after t_max={sde.t_max:g} of {sde}")
        if not t[-1] >= sde.t_min * (1 - _ROUNDED):
            raise ValueError(f"{self.named} end at {t[-1]:g}, before t_min={sde.t_min:g} of {sde}")
        return t

    @property
    def open(self) -> bool:
        """Whether the last of the times is no end, but one at which a model is evaluated."""
        return self.grid in OPEN and not self.times

    def with_end(self, sde: SDE, number: int) -> np.ndarray:
        """Times of so many evaluations and where the last step leads, float64 [number + 1].

        Raises:
            ValueError: the process cannot have them.
        """
        if not self.open:
            return self.at(sde, number + 1)
        t = self.at(sde, number)
        if t[-1] <= sde.t_min:
            raise ValueError(
                f"{self.named} end at t_min={sde.t_min:g}, from which no step leads on: give "
                "denoise_final='tweedie'" + (", or offset=1" if self.grid == "leading" else "")
            )
        return np.append(t, sde.t_min)

    def cut(self, times: np.ndarray, steps: int, share: float) -> Self:
        """The same with the times of the last share of its steps; see Sampler.later.

        Args:
            times: all that it has, where the last step leads among them if that is one.
            steps: how many begin at one of these.
            share: of the steps.

        Raises:
            ValueError: that is no step.
        """
        kept = whole_steps(steps, share)
        if kept == steps:
            return self
        return dataclasses.replace(self, times=tuple(times[steps - kept :].tolist()))

    @property
    def named(self) -> str:
        """What they are, for a message."""
        return "times" if self.times else f"steps={self.steps} on the {self.grid} grid"
