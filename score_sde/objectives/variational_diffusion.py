r"""Variational diffusion models: the bound on -log p(x) itself is the loss, in bits/dim.

With gamma = -log SNR, which a schedule takes from gamma_0 at t = 0 to gamma_1 at t = 1, x a state
of D numbers and z_t = alpha x + sigma eps, -log p(x) is at most (Kingma et al. 2021, VDM,
arXiv 2107.00630, equations 11 to 19)

    KL(q(z_1 | x) || prior) + 1/2 int_0^1 gamma'(t) E |eps - eps(z_t, gamma(t))|^2 dt
        + E[-log p(x | z_0)].                                                               (1)

The integral is estimated at one t of each example. Put gamma for t in it: its value depends on the
schedule by its ends alone (equations 18 to 20), which are those of the process here, at t_min and
t_max, so that whatever samples from the model or measures it knows them. The shape in between
changes the variance of the estimate and nothing else, and is learnt to make it small: the gradient
that a schedule gets of the loss L of one example is that of L^2,

    d L^2 / d gamma = 2 L d L / d gamma,    E[L]^2 being the same for all,                   (2)

in the backward pass that the network's own gradient needs (Appendix I.2).

x_k being the values that a number of discrete data can have, and x of the example one of them,

    p(x = x_k | z_0) ~ exp(-(z_0 - alpha_0 x_k)^2 / (2 sigma_0^2)),                            (3)

each number on its own. Of continuous data p(x | z_0) is N(z_0 / alpha_0, (sigma_0 / alpha_0)^2),
and the bound is one of their density.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from score_sde import sections
from score_sde.objectives.base import DENOISER, Objective
from score_sde.objectives.noise_schedule import NoiseSchedule, Share
from score_sde.objectives.times import draw_times
from score_sde.prediction import Denoiser
from score_sde.processes import SDE, expand
from score_sde.sections import DERIVED
from score_sde.values import between

Schedule = Callable[[jax.Array], Share]


class Terms(NamedTuple):
    """The three terms of equation (1), bits/dim, [batch] each.

    Attributes:
        prior: exact.
        diffusion: of one time and one draw of noise.
        decoder: of one draw.
    """

    prior: jax.Array
    diffusion: jax.Array
    decoder: jax.Array


@dataclasses.dataclass(frozen=True)
class VariationalDiffusion(Objective):
    """Equation (1) of the module, in bits/dim: over D log 2.

    Attributes:
        stratified: spread the times of a batch evenly; see times.draw_times.
        features: sigmoids of the schedule; see objectives.noise_schedule.
        values: those that a number of discrete data can have in a state; None of continuous data.
    """

    TRAINS: ClassVar[str] = DENOISER

    stratified: bool = True
    features: Annotated[int, between(1, 4096)] = 32
    values: tuple[float, ...] | None = dataclasses.field(default=None, metadata=DERIVED)

    def __post_init__(self) -> None:
        sections.check(self)

    def check(self, process: SDE) -> None:
        """Raise ValueError if the process has levels, or no signal or no noise at an end."""
        check_ends(process)

    def module(self) -> Callable[[nnx.Rngs], NoiseSchedule]:
        """The schedule."""
        return lambda rngs: NoiseSchedule(self.features, rngs=rngs)

    def __call__(  # type: ignore[override]  # it has a module, so `own` is always given
        self,
        key: jax.Array,
        model: Denoiser,
        process: SDE,
        x0: jax.Array,
        cond: Mapping[str, jax.Array] | None = None,
        *,
        own: Schedule,
    ) -> jax.Array:
        """The loss of each example, [batch]; see Objective."""
        found = terms(
            key, model, process, x0, cond, own, values=self.values, stratified=self.stratified
        )
        return found.prior + found.diffusion + found.decoder


def terms(
    key: jax.Array,
    denoise: Denoiser,
    sde: SDE,
    x0: jax.Array,
    cond: Any,
    schedule: Schedule,
    *,
    values: tuple[float, ...] | None = None,
    stratified: bool = True,
) -> Terms:
    """The terms of equation (1) of each example; the schedule gets the gradient of equation (2).

    Args:
        key: JAX random key.
        denoise: the denoiser.
        sde: the process, in continuous time.
        x0: data, [batch, *data].
        cond: condition passed to denoise, or None.
        schedule: t in [0, 1], [batch], to the share of the way from gamma_0 to gamma_1.
        values: x_k of equation (3), ascending; None of continuous data.
        stratified: see `draw_times`.
    """
    key_t, key_eps, key_0 = jax.random.split(key, 3)
    t, _ = draw_times(key_t, sde, len(x0), lambda sde, u: (u, jnp.ones_like(u)), stratified)
    share = schedule(t.astype(x0.dtype))
    eps = jax.random.normal(key_eps, x0.shape, x0.dtype)
    ends = prior(sde, x0), decoder(sde, x0, jax.random.normal(key_0, x0.shape, x0.dtype), values)

    def loss(done: jax.Array, rate: jax.Array) -> jax.Array:
        return integrand(denoise, sde, x0, eps, Share(done, rate), cond)

    return Terms(ends[0], of_least_variance(loss, share, ends[0] + ends[1]), ends[1])


def integrand(
    denoise: Denoiser, sde: SDE, x0: jax.Array, eps: jax.Array, share: Share, cond: Any = None
) -> jax.Array:
    """That of equation (1), gamma' |eps - eps(z_t, gamma)|^2 / 2, bits/dim, [batch].

    Args:
        denoise: the denoiser.
        sde: the process.
        x0: data, [batch, *data].
        eps: the noise of z_t, [batch, *data].
        share: of the schedule at t, [batch] each.
        cond: condition passed to denoise, or None.
    """
    first, last = gammas(sde)
    time = time_at(sde, -(first + (last - first) * share.done))
    z = expand(sde.alpha(time), x0) * x0 + expand(sde.sigma(time), x0) * eps
    return 0.5 * (last - first) * share.rate * _bits((eps - denoise(z, time, cond).eps) ** 2)


def of_least_variance(
    loss: Callable[[jax.Array, jax.Array], jax.Array], share: Share, rest: jax.Array
) -> jax.Array:
    """A loss whose gradient by a schedule is that of the squared loss, equation (2).

    Args:
        loss: of a schedule's `done` and `rate`, [batch] each, to [batch]; each example's is of its
            own two numbers. What else it depends on gets the gradient of the loss.
        share: of the schedule.
        rest: the rest of L, which does not depend on the schedule, [batch].

    Returns:
        The loss, [batch].
    """
    # Networks lie in the closure of `loss`; what is differentiated of them becomes an argument.
    pure, closed = jax.closure_convert(loss, *share)

    @jax.custom_vjp
    def value(share: Share, rest: jax.Array, *closed: Any) -> jax.Array:
        loss: jax.Array = pure(*share, *closed)
        return loss

    def forward(share: Share, rest: jax.Array, *closed: Any) -> Any:
        found, pull = jax.vjp(pure, *share, *closed)
        return found, (found + rest, pull)

    def backward(kept: Any, cotangent: jax.Array) -> Any:
        whole, pull = kept
        done, rate, *of_closed = pull(cotangent)
        return Share(2 * whole * done, 2 * whole * rate), jnp.zeros_like(whole), *of_closed

    value.defvjp(forward, backward)
    return value(share, jax.lax.stop_gradient(rest), *closed)


def gammas(sde: SDE) -> tuple[float, float]:
    """gamma_0 and gamma_1: -log SNR of a process at t_min and at t_max."""
    with np.errstate(divide="ignore"):
        first, last = (-sde.log_snr(np.array([sde.t_min, sde.t_max], np.float64))).tolist()
    return first, last


def check_ends(sde: SDE) -> None:
    """Raise ValueError if a process is of levels, or has no signal or no noise at an end."""
    if sde.scales is not None:
        raise ValueError(
            "the variational bound is of continuous time: use the sde vp, or for discrete levels "
            "objective=denoising with learned_variance"
        )
    if not all(map(math.isfinite, gammas(sde))):
        raise ValueError(
            f"{sde} has no signal left at its end: the variational bound needs some, so give a "
            "smaller t_max"
        )


def time_at(sde: SDE, log_snr: jax.Array) -> jax.Array:
    """SDE.time_at_log_snr with its derivative, 1 / log_snr'(t), whatever way it is computed."""
    t = jax.lax.stop_gradient(sde.time_at_log_snr(log_snr))
    slope = jax.lax.stop_gradient(-sde.g2(t) / sde.sigma(t) ** 2)
    return t + (log_snr - jax.lax.stop_gradient(log_snr)) / slope


def decoder(sde: SDE, x0: jax.Array, eps: jax.Array, values: tuple[float, ...] | None) -> jax.Array:
    """-log p(x | z_0) of the module, bits/dim, [batch].

    Args:
        sde: the process.
        x0: data, [batch, *data].
        eps: the noise of z_0, [batch, *data].
        values: see `terms`; x0 is taken for the nearest.
    """
    alpha, sigma = (float(c(np.float64(sde.t_min))) for c in (sde.alpha, sde.sigma))
    scale = alpha / sigma
    if values is None:  # x0 - z_0 / alpha is -eps sigma / alpha
        return _bits(0.5 * eps**2 - math.log(scale) + 0.5 * math.log(2 * math.pi))
    points = jnp.asarray(values, x0.dtype)

    def distance(point: jax.Array) -> jax.Array:  # (z_0 - alpha point)^2 / (2 sigma^2)
        return 0.5 * (eps + scale * (x0 - point)) ** 2

    # One value after the other: all at once would take 256 times the memory of the data.
    def add(total: jax.Array, point: jax.Array) -> tuple[jax.Array, None]:
        return jnp.logaddexp(total, -distance(point)), None

    total, _ = jax.lax.scan(add, jnp.full_like(x0, -jnp.inf), points)
    middles = (points[1:] + points[:-1]) / 2
    nearest = points[jnp.searchsorted(middles, x0)]
    return _bits(distance(nearest) + total)


def prior(sde: SDE, x0: jax.Array) -> jax.Array:
    """KL(N(alpha_1 x, sigma_1^2) || N(0, prior_std^2)), bits/dim, [batch]."""
    alpha, sigma = (float(c(np.float64(sde.t_max))) / sde.prior_std for c in (sde.alpha, sde.sigma))
    constant = sigma**2 - 1 - 2 * math.log(sigma)
    return _bits(0.5 * ((alpha * x0) ** 2 + constant))


def _bits(nats: jax.Array) -> jax.Array:
    """From nats of each number, [batch, *data], to bits/dim of each example, [batch]."""
    return jnp.mean(nats.reshape(len(nats), -1), axis=1) / math.log(2)
