r"""Discrete sequences of noise levels, as processes: SMLD and DDPM.

The models before Song et al. 2021 have N noise levels and no time between them
(`training.continuous = False` in the released code). Level i of N is put here at

    t_i = i / (N - 1),    i = 0 ... N - 1,                                           (1)

and alpha(t_i), sigma(t_i) are the sequence's own numbers, exactly. Between two levels the process
is defined too, so every loss, sampler and likelihood takes it like any other; at more or fewer
steps than N a sampler then sees interpolated noise levels.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Annotated

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from score_sde.processes.base import SDE, is_host, namespace, number
from score_sde.processes.ve import VE
from score_sde.processes.vp import VP
from score_sde.values import Positive, between, one_of

Scales = Annotated[int, between(2, 100_000)]


@dataclasses.dataclass(frozen=True)
class SMLD(VE):
    """N noise levels in geometric progression (Song and Ermon 2019, arXiv 1907.05600, Section 3.2).

    VE's sigma(t) at (1) is that progression, so this is VE, and knows N.

    Attributes:
        sigma_min: smallest noise level.
        sigma_max: largest noise level.
        t_min: smallest time that samplers reach; see VE.
        t_max: largest time.
        scales: N, at least 2.
    """

    scales: Scales = 1000

    def level_sigma(self, t: ArrayLike) -> jax.Array:
        """sigma of the level whose index a network is told at t, the nearest; shape of t."""
        xp, last = namespace(t), self.scales - 1
        return self.sigma(1 - xp.round((1 - xp.asarray(t)) * last) / last)


@dataclasses.dataclass(frozen=True)
class DDPM(VP):
    """The Markov chain x_i = sqrt(1 - b_i) x_{i-1} + sqrt(b_i) z of Ho et al. 2020 (2006.11239).

    alpha(t_i)^2 = prod_{j <= i} (1 - b_j); for N = 1000 and the defaults b_i runs from 1e-4 to
    0.02. log alpha is linear between two levels. Level 0 has noise already: sigma(0) = sqrt(b_0).

    With zero_terminal_snr the last level is noise alone: alpha(t_i) becomes

        alpha_0 (alpha_i - alpha_{N-1}) / (alpha_0 - alpha_{N-1})                           (2)

    (Lin et al. 2023, arXiv 2305.08891, Algorithm 1), and is itself linear on the last step. There a
    network cannot be asked for the noise: it predicts v, x0 or the velocity, and is trained on one
    of them (the weighting "uniform"), for the weighting "simple" forgets the last level.

    Attributes:
        beta_min: N b_0; not of the schedule "cosine".
        beta_max: N b_{N-1}; likewise.
        t_min: smallest time that samplers reach: almost level 0, since 0 itself means the data.
        t_max: largest time.
        scales: N, at least 2 and above beta_max, so that b_i < 1.
        schedule: what is linear in i: b_i ("linear") or sqrt(b_i) ("scaled_linear", of latent
            diffusion, Rombach et al. 2022, arXiv 2112.10752); or "cosine": alpha(t_i)^2 falls as
            f(i + 1) / f(0), f(i) = cos^2(pi/2 (i/N + 0.008) / 1.008), with b_i at most 0.999
            (Nichol and Dhariwal 2021, arXiv 2102.09672, equation 17).
        zero_terminal_snr: rescale by (2).
    """

    t_min: Positive = 1e-5
    scales: Scales = 1000
    schedule: Annotated[str, one_of(("linear", "scaled_linear", "cosine"))] = "linear"
    zero_terminal_snr: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.scales <= self.beta_max and self.schedule != "cosine":
            raise ValueError(f"scales={self.scales} must be above beta_max={self.beta_max}")

    @functools.cached_property
    def _steps(self) -> np.ndarray:
        """b_i before (2), in float64."""
        if self.schedule == "cosine":
            angle = (np.arange(self.scales + 1) / self.scales + 0.008) / 1.008 * np.pi / 2
            f = np.cos(angle) ** 2
            steps: np.ndarray = np.minimum(1 - f[1:] / f[:-1], 0.999)
            return steps
        low, high = np.array([self.beta_min, self.beta_max]) / self.scales
        if self.schedule == "linear":
            return np.linspace(low, high, self.scales)
        return np.linspace(np.sqrt(low), np.sqrt(high), self.scales) ** 2

    @functools.cached_property
    def _table(self) -> tuple[np.ndarray, np.ndarray]:
        """t_i and -2 log alpha(t_i), in float64, of the levels at which it is finite."""
        times, integral = np.linspace(0.0, 1.0, self.scales), np.cumsum(-np.log1p(-self._steps))
        if not self.zero_terminal_snr:
            return times, integral
        alpha = np.exp(-0.5 * integral)
        rescaled = alpha[0] * (alpha[:-1] - alpha[-1]) / (alpha[0] - alpha[-1])
        return times[:-1], -2 * np.log(rescaled)

    def _remaining(self, t: ArrayLike) -> jax.Array:
        """Of the alpha of the last level but one what is left at t, on the step to alpha = 0."""
        xp = namespace(t)
        t = xp.asarray(t)
        return xp.clip((1 - t) * (self.scales - 1), 0, 1) if self.zero_terminal_snr else 1 + 0 * t

    def alpha(self, t: ArrayLike) -> jax.Array:
        """alpha(t) of the sequence; shape of t."""
        return super().alpha(t) * self._remaining(t)

    def alpha_dot(self, t: ArrayLike) -> jax.Array:
        """alpha' = -beta alpha / 2, and constant on a last step to 0; shape of t."""
        xp, falls = namespace(t), -(self.scales - 1) * super().alpha(t)
        before = -0.5 * self._slope(t) * super().alpha(t)
        return xp.where(self._remaining(t) < 1, falls, before)

    def sigma(self, t: ArrayLike) -> jax.Array:
        """sigma(t) = sqrt(1 - alpha(t)^2); shape of t."""
        xp, left = namespace(t), self._remaining(t) ** 2
        return xp.sqrt(1 - left - left * xp.expm1(-self._integral_beta(t)))

    def sigma_dot(self, t: ArrayLike) -> jax.Array:
        """sigma' = -alpha alpha' / sigma; shape of t."""
        return -self.alpha(t) * self.alpha_dot(t) / self.sigma(t)

    def beta(self, t: ArrayLike) -> jax.Array:
        """-2 alpha' / alpha; at a level that of the step to it. It is infinite where alpha is 0."""
        return -2 * self.alpha_dot(t) / self.alpha(t) if self.zero_terminal_snr else self._slope(t)

    def _slope(self, t: ArrayLike) -> jax.Array:
        """d(-2 log alpha) / dt, constant between two levels of the table."""
        xp, (times, integral) = namespace(t), self._table
        slopes = xp.asarray(np.diff(integral) * (self.scales - 1), xp.asarray(t).dtype)
        # The small number keeps a rounded t_i on its own side of the step.
        left = xp.ceil(xp.asarray(t) * (self.scales - 1) - 1e-3).astype(np.int32) - 1
        return slopes[xp.clip(left, 0, len(times) - 2)]

    def f(self, t: ArrayLike) -> jax.Array:
        """f(t) = -beta(t) / 2; shape of t."""
        return -0.5 * self.beta(t)

    def log_snr(self, t: ArrayLike) -> jax.Array:
        """2 log(alpha / sigma), minus infinity where alpha is 0; shape of t."""
        return SDE.log_snr(self, t)

    def _integral_beta(self, t: ArrayLike) -> jax.Array:
        return _interpolate(t, *self._table)

    def time_at_log_snr(self, log_snr: ArrayLike) -> jax.Array:
        """The inverse of log_snr; shape of log_snr."""
        time = super().time_at_log_snr(log_snr)
        if not self.zero_terminal_snr:
            return time
        xp = namespace(log_snr)
        alpha = xp.sqrt(1 / (1 + xp.exp(-xp.asarray(log_snr))))
        left = alpha * math.exp(0.5 * self._table[1][-1])
        return xp.where(left < 1, 1 - left / (self.scales - 1), time)

    def _time_at_integral_beta(self, integral: jax.Array) -> jax.Array:
        return _interpolate(integral, *reversed(self._table))

    def level_sigma(self, t: ArrayLike) -> jax.Array:
        """sigma(t_i) of the last level at or below t, i = floor((N - 1) t); shape of t.

        The released networks divide by these, which come from an alpha_bar in float32: at the first
        levels they differ from sigma(t_i) in the fifth digit.
        """
        xp = namespace(t)
        t = xp.asarray(t)
        # In float32 (N - 1) (i / (N - 1)) can come out just below i.
        level = xp.floor((self.scales - 1) * t + 1e-4).astype(np.int32)
        return xp.asarray(self._level_sigmas, t.dtype)[xp.clip(level, 0, self.scales - 1)]

    @functools.cached_property
    def _level_sigmas(self) -> np.ndarray:
        if self.zero_terminal_snr:
            return np.asarray(self.sigma(np.linspace(0.0, 1.0, self.scales)))
        steps = (1 - self._steps.astype(np.float32)).astype(np.float64)
        return np.sqrt(1 - np.cumprod(steps).astype(np.float32).astype(np.float64))

    def discretize(self, t: ArrayLike, s: ArrayLike) -> tuple[jax.Array, jax.Array]:
        """The chain's own step, sqrt(1 - b_i) and sqrt(b_i) for neighbours; s = 0 is the data."""
        a, g, _ = SDE.ancestral(self, t, s)
        return a, g


def _interpolate(x: ArrayLike, xs: np.ndarray, ys: np.ndarray) -> jax.Array:
    if is_host(x):
        return number(np.interp(np.asarray(x), xs, ys))
    x = jnp.asarray(x)
    return jnp.interp(x, jnp.asarray(xs, x.dtype), jnp.asarray(ys, x.dtype))
