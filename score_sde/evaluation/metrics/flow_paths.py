"""Paths of the probability flow, from noise to data: what a model does with a draw of noise."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from score_sde.evaluation.subject import Subject
from score_sde.prediction import Denoiser
from score_sde.processes import SDE, expand
from score_sde.training.sharding import replicated, to_devices


def flow_paths(denoise: Denoiser, sde: SDE, x: jax.Array, steps: int) -> jax.Array:
    """States on the way from t_max to t_min, at the scale of the data.

    Heun's steps of d(x / alpha) = eps d(sigma / alpha), equal in log(sigma / alpha) (Karras et al.
    2022, arXiv 2206.00364, Algorithm 1). What is shown is x_t / sqrt(alpha^2 + sigma^2), of unit
    variance all along if the data are.

    Args:
        denoise: the model.
        sde: its process.
        x: states at t_max, [n, *data].
        steps: how many.

    Returns:
        [steps + 1, n, *data].
    """
    ends = [sde.log_snr(jnp.asarray(t, x.dtype)) for t in (sde.t_max, sde.t_min)]
    times = jnp.clip(sde.time_at_log_snr(jnp.linspace(*ends, steps + 1)), sde.t_min, sde.t_max)

    def noise(y: jax.Array, t: jax.Array) -> jax.Array:
        t = jnp.full(len(y), t)
        return denoise(expand(sde.alpha(t), y) * y, t).eps

    def step(y: jax.Array, pair: jax.Array) -> tuple[jax.Array, jax.Array]:
        t, s = pair
        du = sde.sigma(s) / sde.alpha(s) - sde.sigma(t) / sde.alpha(t)
        first = noise(y, t)
        y = y + du * (first + noise(y + du * first, s)) / 2
        return y, y

    y = x / sde.alpha(times[0])
    _, found = jax.lax.scan(step, y, jnp.stack([times[:-1], times[1:]], axis=1))
    alpha, sigma = sde.alpha(times), sde.sigma(times)
    scale = alpha / jnp.sqrt(alpha**2 + sigma**2)
    return expand(scale, found) * jnp.concatenate([y[None], found])


def of_subject(subject: Subject, number: int, steps: int = 64) -> np.ndarray:
    """The paths of a model as examples on the host, [number, steps + 1, *example]."""

    def paths(params, constants, space, key: jax.Array) -> jax.Array:
        x = subject.sde.prior_sample(key, (number, *space.shape))
        found = flow_paths(subject.make(params, constants), subject.sde, x, steps)
        return jnp.moveaxis(jax.vmap(space.decode)(found), 1, 0)

    everywhere = replicated(subject.mesh)
    space = to_devices(everywhere, jax.device_get(subject.space))
    key = jax.random.key(subject.seed)
    return jax.device_get(jax.jit(paths, out_shardings=everywhere)(*subject.weights, space, key))
