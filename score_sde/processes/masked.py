r"""Tokens that are masked one after another: diffusion with an absorbing state.

Each token of x_0 stays what it is until some time of its own, and is the mask from then on
(Austin et al. 2021, arXiv 2107.03006; in continuous time Sahoo et al. 2024, arXiv 2406.07524, and
Shi et al. 2024, arXiv 2406.04329):

    q(z_t | x_0) = alpha(t) [z_t = x_0] + sigma(t) [z_t = mask],    sigma = 1 - alpha.       (1)

A token that is a mask at t and x_0 was not one yet at s < t with the probability

    q(z_s = x_0 | z_t = mask, x_0) = (alpha_s - alpha_t) / (1 - alpha_t) = 1 - sigma_s / sigma_t,
                                                                                            (2)

and one that is no mask at t is the same at s. As sigma rises from 0 to 1, the times of two
processes are two names for one thing: nothing that is asked of all times depends on the schedule.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Annotated, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike, DTypeLike

from score_sde import keys, sections
from score_sde.fields import TOKENS
from score_sde.processes.base import expand, namespace
from score_sde.processes.process import Process
from score_sde.values import Positive, one_of

# The token that says nothing, as a negative number says of a condition (prediction.null_like). So
# no process need know how many tokens there are: networks give it the row after the last.
MASK = -1


class Schedule(NamedTuple):
    """sigma(t), from 0 at t = 0 to 1 at t = 1; each is a function of (NumPy or JAX, number, power).

    Attributes:
        sigma: of t.
        rate: of t, sigma' / sigma.
        time: of sigma, t.
    """

    sigma: Callable[..., jax.Array]
    rate: Callable[..., jax.Array]
    time: Callable[..., jax.Array]


SCHEDULES: dict[str, Schedule] = {
    # sigma = t: "log-linear" in arXiv 2406.07524, and LLaDA's (arXiv 2502.09992).
    "linear": Schedule(
        lambda xp, t, w: xp.asarray(t),
        lambda xp, t, w: 1 / t,
        lambda xp, sigma, w: xp.asarray(sigma),
    ),
    # sigma = t^power.
    "polynomial": Schedule(
        lambda xp, t, w: t**w,
        lambda xp, t, w: w / t,
        lambda xp, sigma, w: sigma ** (1 / w),
    ),
    # alpha = 1 - cos(pi (1 - t) / 2), the cosine schedule of arXiv 2406.04329, Table 1.
    "cosine": Schedule(
        lambda xp, t, w: xp.sin(0.5 * math.pi * t),
        lambda xp, t, w: 0.5 * math.pi / xp.tan(0.5 * math.pi * t),
        lambda xp, sigma, w: xp.arcsin(sigma) * (2 / math.pi),
    ),
}


@dataclasses.dataclass(frozen=True)
class Masked(Process):
    """Equation (1). Its states are tokens, int [batch, length], MASK where one is masked.

    Attributes:
        schedule: how sigma, the share of masks, rises: "linear", "cosine", or "polynomial", t to
            the power of `power`.
        power: of the schedule "polynomial".
    """

    STATES: ClassVar[str] = TOKENS
    # Of the class: the times of masks are no options, as those of other processes are.
    t_min: ClassVar[float] = 0.0  # type: ignore[misc]
    t_max: ClassVar[float] = 1.0  # type: ignore[misc]

    schedule: Annotated[str, one_of(SCHEDULES)] = "linear"
    power: Positive = 2.0

    def __post_init__(self) -> None:
        sections.check(self)

    def alpha(self, t: ArrayLike) -> jax.Array:
        """1 - sigma(t), the probability that a token is not masked; shape of t."""
        return 1 - self.sigma(t)

    def sigma(self, t: ArrayLike) -> jax.Array:
        """The probability that a token is masked, equation (1); shape of t."""
        return SCHEDULES[self.schedule].sigma(namespace(t), t, self.power)

    def rate(self, t: ArrayLike) -> jax.Array:
        """sigma' / sigma = -alpha' / (1 - alpha), how fast masks turn into tokens; shape of t."""
        return SCHEDULES[self.schedule].rate(namespace(t), t, self.power)

    def time(self, sigma: ArrayLike) -> jax.Array:
        """The time at which the probability of a mask is sigma; shape of sigma."""
        return SCHEDULES[self.schedule].time(namespace(sigma), sigma, self.power)

    def log_snr(self, t: ArrayLike) -> jax.Array:
        """log(alpha^2 / sigma^2), as of processes of numbers; shape of t."""
        return 2 * namespace(t).log(self.alpha(t) / self.sigma(t))

    def time_at_log_snr(self, log_snr: ArrayLike) -> jax.Array:
        """The inverse of log_snr; shape of log_snr."""
        return self.time(1 / (1 + namespace(log_snr).exp(0.5 * log_snr)))

    def corrupt(self, key: jax.Array, x0: jax.Array, t: jax.Array) -> jax.Array:
        """Draw z_t of equation (1).

        Args:
            key: JAX random key, or one for each example, [batch].
            x0: tokens, int [batch, length].
            t: time, [batch] or [].

        Returns:
            Tokens with masks, the shape and dtype of x0.
        """
        u = keys.uniform(key, x0.shape, jnp.result_type(t))
        return jnp.where(u < expand(self.sigma(t), x0), MASK, x0)

    def reveals(self, t: ArrayLike, s: ArrayLike) -> jax.Array:
        """The probability of equation (2), that a mask at t is none at s < t; shape of t."""
        return 1 - self.sigma(s) / self.sigma(t)

    def prior_sample(
        self, key: jax.Array, shape: tuple[int, ...], dtype: DTypeLike | None = None
    ) -> jax.Array:
        """The state at t_max: masks alone. Nothing is random.

        Args:
            key: not used.
            shape: [batch, length].
            dtype: an integer one; int32 if None.

        Returns:
            [batch, length], MASK everywhere.
        """
        return jnp.full(shape, MASK, jnp.int32 if dtype is None else dtype)
