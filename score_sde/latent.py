"""Latent codes: the probability-flow ODE maps the data to the prior, and back, one to one.

    z = encode(denoise, sde, x)                                 the state at t_max
    x = samplers.get("rk45")(key, denoise, sde, x_init=z).x     decodes it: the same ODE, backwards

(Song et al. 2021, arXiv 2011.13456, Section 4.3 and Appendix D.) Data, and what is decoded, are
states at t_min; so decoding must not denoise at the end, and rk45 does not unless it is told to.
In between, codes may be changed as the paper does: `interpolate` goes along the arc between two,
which keeps their norm, the same for nearly all draws from the prior; `temperature` changes it.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from score_sde.prediction import Denoiser
from score_sde.processes import SDE
from score_sde.samplers.ode import probability_flow, solved


def encode(
    denoise: Denoiser,
    sde: SDE,
    x: jax.Array,
    *,
    cond: Any = None,
    rtol: float = 1e-5,
    atol: float = 1e-5,
    max_steps: int = 4096,
) -> jax.Array:
    """Solve the probability-flow ODE from t_min to t_max.

    Args:
        denoise: (x [batch, *data], t [batch], cond) -> Prediction.
        sde: the forward process that `denoise` belongs to.
        x: data, [batch, *data], of a floating dtype, in the model's range; possibly sharded. The
            step size is one for the whole batch, as for the sampler rk45.
        cond: handed to `denoise`.
        rtol: relative tolerance of a step.
        atol: absolute tolerance of a step, in units of x.
        max_steps: of the solver, rejected ones included.

    Returns:
        The state at t_max, [batch, *data], of the dtype of x: distributed as the prior if x is as
        the model.

    Raises:
        ValueError: x is not of a floating dtype.
        RuntimeError: max_steps were not enough (or the denoiser gave a NaN); under jit too.
    """
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise ValueError(f"x must be of a floating dtype, in the model's range, not {x.dtype}")

    def rate(piece: Denoiser) -> Any:
        return probability_flow(piece, sde, cond)

    z: jax.Array
    z, _ = solved(denoise, sde, rate, x, rtol=rtol, atol=atol, max_steps=max_steps)
    return z


def interpolate(z0: jax.Array, z1: jax.Array, number: int) -> jax.Array:
    """Points on the arc from one code to another, at equal angles (Shoemake 1985, slerp).

        (sin((1 - w) theta) z0 + sin(w theta) z1) / sin(theta),    w = 0, ..., 1

    with theta the angle between z0 and z1. The norm stays if both have the same. Equal codes give
    themselves; opposite ones have no shortest arc, and the result is arbitrary.

    Args:
        z0: [batch, *data].
        z1: [batch, *data]; each example is interpolated on its own.
        number: of points, at least 2, both ends included.

    Returns:
        [number, batch, *data].

    Raises:
        ValueError: there are fewer than two points.
    """
    if number < 2:
        raise ValueError(f"number must be at least 2, the ends themselves, not {number}")
    ratio = jax.vmap(_angle)(z0, z1) / jnp.pi
    ratio = ratio.reshape(ratio.shape + (1,) * (z0.ndim - 1))

    def point(w: jax.Array) -> jax.Array:
        # sin(w theta) / sin(theta), without 0 / 0 for parallel codes: sinc(r) = sin(pi r) / (pi r).
        c0, c1 = (u * jnp.sinc(u * ratio) / jnp.sinc(ratio) for u in (1 - w, w))
        return c0 * z0 + c1 * z1

    return jax.vmap(point)(jnp.linspace(0, 1, number, dtype=z0.dtype))


def temperature(z: jax.Array, value: float) -> jax.Array:
    """The code with its norm multiplied by a temperature (Song et al. 2021, Appendix D).

    Of a draw from the prior it makes one with that many times the standard deviation (the
    convention of Glow: Kingma and Dhariwal 2018, arXiv 1807.03039, Section 6).

    Args:
        z: [batch, *data].
        value: 1 changes nothing; below 1, data are smoother and vary less.

    Returns:
        The shape of z.
    """
    return value * z


def _angle(a: jax.Array, b: jax.Array) -> jax.Array:
    """The angle between two arrays, in 0..pi, precise for small angles too (W. Kahan); []."""
    a, b = a / jnp.linalg.norm(a.ravel()), b / jnp.linalg.norm(b.ravel())
    return 2 * jnp.arctan2(jnp.linalg.norm((a - b).ravel()), jnp.linalg.norm((a + b).ravel()))
