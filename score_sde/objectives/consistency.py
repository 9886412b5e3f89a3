r"""Consistency losses: the ends of the paths through two points of one noise are the same.

A consistency model f(x, t), the flow map to the data, is constant along each path of the
probability flow. Of two times r < t of one example and one noise,

    L = w(t, r) d(f(x_t, t), sg f(x_r, r)),    x_t = alpha x_0 + sigma eps,                  (1)

where sg is held fixed and f(x_0, 0) = x_0 (Song et al. 2023, arXiv 2303.01469). As r comes to t the
gradient of w = 1 / (t - r) times the squared distance tends to that of consistency along the paths
themselves; at an r below t it is off by order t - r. Objectives differ in how they choose (t, r), w
and d. Times are compared as noise levels u = sigma / alpha, EDM's sigma.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from score_sde.flow_map import Consistency, FlowMap
from score_sde.objectives.base import CONSISTENCY, Network, Objective
from score_sde.prediction import Denoiser
from score_sde.processes import SDE, expand


@dataclasses.dataclass(frozen=True)
class ConsistencyObjective(Objective):
    """What trains a consistency model."""

    TRAINS: ClassVar[str] = CONSISTENCY

    def model(
        self, network: Network, process: SDE, denoiser: Callable[[Network], Denoiser]
    ) -> FlowMap:
        """See Objective: the flow map to the data."""
        return Consistency(process, denoiser(network))


def ends_apart(
    key: jax.Array,
    model: FlowMap,
    sde: SDE,
    x0: jax.Array,
    cond: Mapping[str, jax.Array] | None,
    t: jax.Array,
    r: jax.Array,
) -> jax.Array:
    """|f(x_t, t) - sg f(x_r, r)|^2 of equation (1), summed over an example.

    Args:
        key: JAX random key, for eps.
        model: f, as its jumps to the data.
        sde: the forward process.
        x0: data, [batch, *data].
        cond: conditions, or None.
        t: times, [batch].
        r: times below t, [batch]; 0 for the data themselves.

    Returns:
        [batch].
    """
    eps = jax.random.normal(key, x0.shape, x0.dtype)

    def end(time: jax.Array) -> jax.Array:
        mean, std = sde.marginal(x0, time)
        return model.jump(mean + expand(std, x0) * eps, time, jnp.zeros_like(time), cond)

    found = end(t)
    target = jax.lax.stop_gradient(end(jnp.where(r > 0, r, t)))
    target = jnp.where(expand(r, x0) > 0, target, x0)
    return jnp.sum((found - target).reshape(len(x0), -1) ** 2, axis=1)


def pseudo_huber(squared: jax.Array, width: float) -> jax.Array:
    """sqrt(|d|^2 + c^2) - c, of |d|^2 [batch]; c = 0 is |d| itself.

    Song and Dhariwal 2023 (arXiv 2310.14189), equation 8.
    """
    tiny = jnp.finfo(squared.dtype).tiny  # the root has no derivative at 0
    return jnp.sqrt(jnp.maximum(squared + width**2, tiny)) - width


def ratio(sde: SDE, t: jax.Array) -> jax.Array:
    """sigma / alpha; shape of t."""
    return sde.sigma(t) / sde.alpha(t)


def time_at_ratio(sde: SDE, u: Any) -> jax.Array:
    """The time of a noise level sigma / alpha, within the times of the process; shape of u."""
    return jnp.clip(sde.time_at_log_snr(-2 * jnp.log(u)), sde.t_min, sde.t_max)
