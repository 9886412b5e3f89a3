r"""Exact denoisers, for tests, for demonstrations and to debug a sampler without a network.

For data from a Gaussian mixture  p(x_0) = sum_k w_k N(m_k, s_k^2 I)  the perturbed density is a
mixture too, with components  N(alpha m_k, v_k I),  v_k = alpha^2 s_k^2 + sigma^2,  and

    E[x_0 | x, k] = m_k + (alpha s_k^2 / v_k) (x - alpha m_k),
    E[eps | x, k] = (sigma / v_k) (x - alpha m_k),

averaged with the responsibilities  r_k ~ w_k N(x; alpha m_k, v_k I). A finite data set is the
mixture with s_k = 0 and equal weights.

A Gaussian with a covariance matrix is, in the basis of its eigenvectors, independent Gaussians.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from score_sde.flow_map import Cond, FlowMap, levels
from score_sde.prediction import Denoiser, Prediction
from score_sde.processes import SDE, expand


def gaussian(sde: SDE, mean: ArrayLike, std: ArrayLike) -> Denoiser:
    """The exact denoiser of data ~ N(mean, std^2 I).

    Args:
        sde: the forward process.
        mean: [*data].
        std: scalar.
    """
    return gaussian_mixture(sde, jnp.asarray(mean)[None], jnp.asarray(std).reshape(1), jnp.ones(1))


@dataclasses.dataclass(frozen=True, eq=False)
class GaussianFlowMap(FlowMap):
    """The exact flow map of data ~ N(mean, std^2 I).

    With v = alpha^2 std^2 + sigma^2 the probability flow keeps (x - alpha mean) / sqrt(v), so

        jump(x, t, s) = alpha_s mean + sqrt(v_s / v_t) (x - alpha_t mean),

    and the pair of flow_map's equation (2) is, divided by nothing that vanishes for t > 0,

        x0 = mean + std^2 (sigma_t alpha_s + sigma_s alpha_t) y / (sigma_t sqrt(v_s) + sigma_s
             sqrt(v_t)),    eps = (alpha_s sigma_t + alpha_t sigma_s) y / (alpha_s sqrt(v_t) +
             alpha_t sqrt(v_s)),    y = (x - alpha_t mean) / sqrt(v_t).

    At s = 0, x0 is the consistency function mean + std y; at s = t this is `gaussian`.

    Attributes:
        mean: [*data].
        std: scalar.
    """

    mean: ArrayLike
    std: ArrayLike

    def average(self, x: jax.Array, t: jax.Array, s: jax.Array, cond: Cond = None) -> Prediction:
        """See FlowMap; it ignores cond."""
        t, s = (jnp.broadcast_to(jnp.asarray(time, x.dtype), x.shape[:1]) for time in (t, s))
        (alpha_t, sigma_t), (alpha_s, sigma_s) = (levels(self.sde, time) for time in (t, s))
        root_t, root_s = (
            jnp.sqrt((alpha * self.std) ** 2 + sigma**2)
            for alpha, sigma in ((alpha_t, sigma_t), (alpha_s, sigma_s))
        )
        both = sigma_t * alpha_s + sigma_s * alpha_t
        x0 = self.std**2 * both / (sigma_t * root_s + sigma_s * root_t)
        eps = both / (alpha_s * root_t + alpha_t * root_s)
        mean = jnp.asarray(self.mean, x.dtype)[None]
        y = (x - expand(alpha_t, x) * mean) / expand(root_t, x)
        return Prediction(mean + expand(x0, x) * y, expand(eps, x) * y)


def correlated_gaussian(sde: SDE, mean: ArrayLike, covariance: ArrayLike) -> Denoiser:
    """The exact denoiser of data ~ N(mean, covariance).

    With covariance = Q diag(l) Q^T and v = alpha^2 l + sigma^2, the eigenvalues at time t,

        x0 = mean + Q diag(alpha l / v) Q^T (x - alpha mean),
        eps = Q diag(sigma / v) Q^T (x - alpha mean).

    Args:
        sde: the forward process.
        mean: [*data].
        covariance: of the flattened data, [d, d] with d the product of data; symmetric, positive
            semidefinite. It is decomposed here, on the host.

    Returns:
        denoise(x, t, cond=None); it ignores cond.

    Raises:
        ValueError: covariance is not of that kind.
    """
    mean, covariance = np.asarray(mean), np.asarray(covariance)
    if covariance.shape != (mean.size, mean.size) or not np.allclose(covariance, covariance.T):
        raise ValueError(f"covariance must be symmetric and {mean.size} x {mean.size}")
    eigenvalues, eigenvectors = np.linalg.eigh(covariance)
    if eigenvalues[0] < -1e-6 * eigenvalues[-1]:
        raise ValueError(f"covariance has a negative eigenvalue, {eigenvalues[0]:g}")
    eigenvalues = eigenvalues.clip(min=0)

    def one(x: jax.Array, t: jax.Array, *of_data: jax.Array) -> Prediction:
        alpha, sigma = sde.alpha(t), sde.sigma(t)
        m, l, q = (jnp.asarray(a, x.dtype) for a in of_data)
        whitened = ((x - alpha * m).reshape(-1) @ q) / (alpha**2 * l + sigma**2)
        x0, eps = q @ (alpha * l * whitened), q @ (sigma * whitened)
        return Prediction(m + x0.reshape(x.shape), eps.reshape(x.shape))

    every = jax.jit(jax.vmap(one, (0, 0, None, None, None)), inline=True)  # as in gaussian_mixture

    def denoise(x: jax.Array, t: jax.Array, cond: Any = None) -> Prediction:
        t = jnp.broadcast_to(jnp.asarray(t, x.dtype), x.shape[:1])
        data = (jnp.asarray(part) for part in (mean, eigenvalues, eigenvectors))
        found: Prediction = every(x, t, *data)
        return found

    return denoise


def gaussian_mixture(sde: SDE, means: ArrayLike, stds: ArrayLike, weights: ArrayLike) -> Denoiser:
    """The exact denoiser of data ~ sum_k weights_k N(means_k, stds_k^2 I).

    Args:
        sde: the forward process.
        means: [K, *data].
        stds: [K].
        weights: [K], positive; normalised here.

    Returns:
        denoise(x, t, cond=None); it ignores cond.
    """

    def one(x: jax.Array, t: jax.Array, means: Any, stds: Any, weights: Any) -> Prediction:
        centred, variance, log_joint, std = _components(sde, means, stds, weights, x, t)
        responsibility = jax.nn.softmax(log_joint)
        alpha, sigma = sde.alpha(t), sde.sigma(t)
        x0 = jnp.asarray(means, x.dtype) + _scale(alpha * std**2 / variance, centred)
        eps = _scale(sigma / variance, centred)
        return Prediction(*(jnp.tensordot(responsibility, e, 1) for e in (x0, eps)))

    # Called alone it is one program, and not one for each operation; it is told the mixture, which
    # may be large.
    every = jax.jit(jax.vmap(one, (0, 0, None, None, None)), inline=True)

    def denoise(x: jax.Array, t: jax.Array, cond: Any = None) -> Prediction:
        mixture = (jnp.asarray(part) for part in (means, stds, weights))
        found: Prediction = every(x, jnp.broadcast_to(t, x.shape[:1]), *mixture)
        return found

    return denoise


def gaussian_mixture_logp(
    sde: SDE, means: ArrayLike, stds: ArrayLike, weights: ArrayLike, x: jax.Array, t: ArrayLike
) -> jax.Array:
    """Log-density at time t of the mixture of `gaussian_mixture`, exactly.

    Args:
        sde: the forward process.
        means: [K, *data].
        stds: [K].
        weights: [K], positive; normalised here.
        x: state, [batch, *data].
        t: time, [batch] or [].

    Returns:
        log p_t(x), nats, [batch].
    """

    def one(x: jax.Array, t: jax.Array) -> jax.Array:
        return jax.nn.logsumexp(_components(sde, means, stds, weights, x, t)[2])

    return jax.vmap(one)(x, jnp.broadcast_to(jnp.asarray(t, x.dtype), x.shape[:1]))


def empirical(sde: SDE, data: ArrayLike) -> Denoiser:
    """The exact denoiser of a finite data set: what a network that memorised it would compute.

    The softmax average over the data set of Karras et al. 2022 (arXiv 2206.00364), Appendix B.3.
    Examples of a batch are taken one after the other, so memory is that of one copy of the data.

    Args:
        sde: the forward process.
        data: [N, *data].
    """
    data = jnp.asarray(data)
    mixture = gaussian_mixture(sde, data, jnp.zeros(len(data)), jnp.ones(len(data)))

    def one(example: tuple[jax.Array, jax.Array]) -> Prediction:
        x, t = example
        x0, eps = mixture(x[None], t[None])
        return Prediction(x0[0], eps[0])

    def denoise(x: jax.Array, t: jax.Array, cond: Any = None) -> Prediction:
        found: Prediction = jax.lax.map(one, (x, jnp.broadcast_to(t, x.shape[:1])))
        return found

    return denoise


def _scale(coefficient: jax.Array, components: jax.Array) -> jax.Array:
    return coefficient.reshape((-1,) + (1,) * (components.ndim - 1)) * components


def _components(
    sde: SDE,
    means: ArrayLike,
    stds: ArrayLike,
    weights: ArrayLike,
    x: jax.Array,
    t: jax.Array,
) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """For one example: x - alpha m_k [K, *data], v_k [K], log(w_k N(x; ...)) [K] and s_k [K]."""
    means, stds, weights = (jnp.asarray(a, x.dtype) for a in (means, stds, weights))
    t = t.astype(x.dtype)
    centred = x[None] - sde.alpha(t) * means
    variance = (sde.alpha(t) * stds) ** 2 + sde.sigma(t) ** 2
    squared = jnp.sum(centred.reshape(len(means), -1) ** 2, axis=1)
    log_normal = -0.5 * (squared / variance + x.size * jnp.log(2 * math.pi * variance))
    return centred, variance, jnp.log(weights / weights.sum()) + log_normal, stds
