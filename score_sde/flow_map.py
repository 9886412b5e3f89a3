r"""Flow maps: models of two times, which take a long step of the probability flow at once.

A denoiser knows the slope of the path through x at time t; a flow map knows where that path is at
another time s (Boffi et al. 2024, arXiv 2406.07507):

    jump(x, t, s) = x_s    with    dx/dt = alpha' x0 + sigma' eps.                          (1)

A straight line through a consistent pair says it without any boundary condition. With
x = alpha_t x0 + sigma_t eps,

    jump(x, t, s) = alpha_s x0 + sigma_s eps,    (x0, eps) = average(x, t, s),              (2)

is x where s = t, whatever the pair; and as s tends to t the pair tends to that of the denoiser, so
that a flow map is a denoiser too:

    denoise(x, t) = average(x, t, t).                                                       (3)

So a network, told s as well as t, makes a flow map as one that is told t makes a denoiser, with the
same parametrizations. On a straight path (2) is x_s = x - (t - s) u with u = eps - x0, the average
velocity of MeanFlow and shortcut models; with s = 0 it is x0, and with the preconditioning of EDM
that is the consistency function; on TrigFlow with v it is cos(t - s) x - sin(t - s) v.

The network is told s as a condition of kind number, INTERVAL: how far the jump is, as an angle,

    (2 / pi) (arctan(sigma_t / alpha_t) - arctan(sigma_s / alpha_s)),    from 0 to 1,       (4)

0 for the denoiser. So every network that takes conditions makes a flow map unchanged, a run may
start from the weights of a denoiser, and (4) is bounded for every process.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import ClassVar

import jax
import jax.numpy as jnp

from score_sde.prediction import Denoiser, Prediction
from score_sde.processes import SDE, expand
from score_sde.subspace import Subspace, lies_in

INTERVAL = "interval"

Cond = Mapping[str, jax.Array] | None


@dataclasses.dataclass(frozen=True, eq=False)
class FlowMap:
    """A flow map, equations (2) and (3). Subclasses are frozen dataclasses and define `average`.

    Attributes:
        TAKES_NULLS: as of prediction.Denoiser.
        TO_DATA: whether it knows no other s than 0.
        sde: its process.
    """

    TAKES_NULLS: ClassVar[bool] = True
    TO_DATA: ClassVar[bool] = False

    sde: SDE

    def average(self, x: jax.Array, t: jax.Array, s: jax.Array, cond: Cond = None) -> Prediction:
        """The pair of the straight line from x at time t to where its path is at s <= t.

        Args:
            x: state, [batch, *data].
            t: time, [batch] or [].
            s: time, [batch] or []; 0 is the data.
            cond: conditions by name, [batch, ...] each, or None.
        """
        raise NotImplementedError

    def jump(self, x: jax.Array, t: jax.Array, s: jax.Array, cond: Cond = None) -> jax.Array:
        """x at time s, [batch, *data]; arguments as of `average`."""
        pair = self.average(x, t, s, cond)
        alpha, sigma = levels(self.sde, jnp.asarray(s, x.dtype))
        return expand(alpha, x) * pair.x0 + expand(sigma, x) * pair.eps

    def __call__(self, x: jax.Array, t: jax.Array, cond: Cond = None) -> Prediction:
        """Equation (3); see prediction.Denoiser."""
        return self.average(x, t, t, cond)


@dataclasses.dataclass(frozen=True, eq=False)
class OfDenoiser(FlowMap):
    """The flow map of a network, through the denoiser that it makes.

    Attributes:
        denoise: of the network, which is told INTERVAL among its conditions.
    """

    denoise: Denoiser

    def average(self, x: jax.Array, t: jax.Array, s: jax.Array, cond: Cond = None) -> Prediction:
        """See FlowMap."""
        t, s = (jnp.broadcast_to(jnp.asarray(time, x.dtype), x.shape[:1]) for time in (t, s))
        interval = angle(self.sde, t) - angle(self.sde, s)
        return self.denoise(x, t, {**(cond or {}), INTERVAL: interval})

    def lies_in(self) -> Subspace:
        """Where its states lie; see score_sde.subspace."""
        return lies_in(self.denoise)


@dataclasses.dataclass(frozen=True, eq=False)
class Consistency(FlowMap):
    """A consistency model (Song et al. 2023, arXiv 2303.01469): the flow map to the data alone.

    Its network is told t and no s. As a denoiser it gives the end of the path through x as x0, and
    the eps that goes with it; that is E[x_0 | x] of no distribution, and no slope of the path.

    Attributes:
        denoise: of the network, whose x0 is the end.
    """

    TO_DATA: ClassVar[bool] = True

    denoise: Denoiser

    def average(self, x: jax.Array, t: jax.Array, s: jax.Array, cond: Cond = None) -> Prediction:
        """See FlowMap; for s = 0, whatever s is."""
        return self.denoise(x, t, cond)

    def lies_in(self) -> Subspace:
        """Where its states lie; see score_sde.subspace."""
        return lies_in(self.denoise)


def levels(sde: SDE, s: jax.Array) -> tuple[jax.Array, jax.Array]:
    """alpha and sigma at time s; 1 and 0, those of the data, at s = 0. Shape of s."""
    later = jnp.where(s > 0, s, 1)  # no derivative is taken where it may be infinite
    return jnp.where(s > 0, sde.alpha(later), 1), jnp.where(s > 0, sde.sigma(later), 0)


def angle(sde: SDE, s: jax.Array) -> jax.Array:
    """(2 / pi) arctan(sigma / alpha), from 0 for the data to 1 for noise alone; shape of s."""
    alpha, sigma = levels(sde, s)
    return (2 / math.pi) * jnp.arctan2(sigma, alpha)
