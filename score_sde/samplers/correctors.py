r"""Correctors: Langevin steps that leave p_t as it is,  x + eps score + sqrt(2 eps) z.

They differ in the step size eps (Song et al. 2021, arXiv 2011.13456, Appendix G):

    langevin (Algorithms 4, 5)    eps = 2 alpha (snr ||z|| / ||score||)^2               (1)
    ald                           eps = 2 alpha (snr sigma(t))^2                        (2)

with alpha = 1 for VE and the discrete 1 - beta_i for VP. Here alpha is the square of the exact
(for VP: DDPM's) coefficient A of x_t = A x_s + G z, which is both of these, lies in (0, 1] for
every process, and so also defines the step for sub-VP.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from score_sde.samplers.update import Update


def _mean_norm(x: jax.Array) -> jax.Array:
    """The Euclidean norm of an example of x, averaged over the batch; []."""
    return jnp.mean(jnp.linalg.norm(x.reshape(x.shape[0], -1), axis=1))


def batch_norm(z: jax.Array, dimension: ArrayLike | None) -> jax.Array | float:
    """||z|| as the average over the batch, as in the published runs; []."""
    return _mean_norm(z)


def sqrt_d(z: jax.Array, dimension: ArrayLike | None) -> jax.Array | float:
    """||z|| as sqrt(d), its limit for many dimensions d: for small batches (Appendix G).

    Where examples differ in d it is averaged over them, as norms are.
    """
    if dimension is None:
        return math.sqrt(math.prod(z.shape[1:]))
    return jnp.mean(jnp.sqrt(jnp.asarray(dimension, z.dtype)))


NOISE_NORMS: dict[str, Callable[[jax.Array, ArrayLike | None], jax.Array | float]] = {
    "batch": batch_norm,
    "sqrt_d": sqrt_d,
}


def langevin(
    score: jax.Array,
    z: jax.Array,
    *,
    alpha: jax.Array,
    sigma: jax.Array,
    snr: float,
    noise_norm: str = "batch",
    dimension: ArrayLike | None = None,
) -> Update:
    """The Langevin step (1). The norms are averages over the whole batch, on whatever devices.

    Args:
        score: at the state, [batch, *data].
        z: the noise of this step, [batch, *data].
        alpha: [] or [batch].
        sigma: standard deviation of x_t given x_0, [] or [batch]; not used here.
        snr: the ratio of the noise's size to the score's in one step.
        noise_norm: a key of NOISE_NORMS.
        dimension: of the space where states lie, [batch] or a number; None: of all of z.
    """
    return _update(alpha, snr * NOISE_NORMS[noise_norm](z, dimension) / _mean_norm(score))


def ald(
    score: jax.Array,
    z: jax.Array,
    *,
    alpha: jax.Array,
    sigma: jax.Array,
    snr: float,
    noise_norm: str = "batch",
    dimension: ArrayLike | None = None,
) -> Update:
    """The annealed Langevin step (2); arguments as for `langevin`, with score and z not used."""
    return _update(alpha, snr * sigma)


def _update(alpha: jax.Array, size: jax.Array) -> Update:
    eps = 2 * alpha * size**2
    return Update(1, eps, jnp.sqrt(2 * eps))


CORRECTORS: dict[str, Callable[..., Update] | None] = {
    "langevin": langevin,
    "ald": ald,
    "none": None,
}
