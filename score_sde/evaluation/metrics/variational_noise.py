r"""Variational dequantisation: noise that is fitted to the model, for a tighter bound on bits/dim.

Ho et al. 2019 (Flow++, arXiv 1902.00275, Section 3.1). In equation (1) of spaces.dequantization any
density q(u | k) of the noise will do. Here a pixel's u, 0 to 1 across its tile, is sigmoid(z),

    z = m + exp(s) logit(v),    v uniform on [0, 1],                                            (1)

with m and s of a small convolutional network that sees the image. At m = s = 0 it is uniform noise,
and there the fit begins. It minimises, over training images, the bound that a diffusion has on
E[-log p(x) + log q(u | k)], by which Song et al. 2021 (arXiv 2101.09258) fit theirs too,

    -log p(x) <= 1/2 int E |eps - eps(x_t)|^2 d log SNR + const(x),                             (2)

(Kingma et al. 2021, VDM, arXiv 2107.00630, equation 14) with log SNR drawn uniformly. What is
reported is not this: the likelihoods of `bits_per_dim` are exact, and a bound whatever the fit has
found.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax.experimental import multihost_utils

from score_sde import files
from score_sde.evaluation.parts import Parts
from score_sde.evaluation.subject import Subject, examples_fingerprint
from score_sde.models.functional import Arrays, functional
from score_sde.models.layers import Conv
from score_sde.objectives.times import draw_times, importance_times
from score_sde.processes import SDE, expand
from score_sde.spaces.dequantization import Dequantized, Lattice
from score_sde.training.sharding import batch_sharding, replicated, to_devices

BATCH, CHANNELS, LEARNING_RATE = 128, 32, 3e-3
_STREAM = 1 << 30  # of random numbers; `bits_per_dim` folds its repeats into the same seed


class Noise(nnx.Module):
    """m and s of equation (1).

    Args:
        channels: of an image.
        rngs: random streams of the initialisation.
    """

    def __init__(self, channels: int, *, rngs: nnx.Rngs):
        self.first = Conv(channels, CHANNELS, rngs=rngs)
        self.middle = Conv(CHANNELS, CHANNELS, rngs=rngs)
        self.last = Conv(CHANNELS, 2 * channels, scale=0.0, rngs=rngs)

    def __call__(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Of images x [batch, H, W, C], in the model's range; both of that shape."""
        h = nnx.silu(self.middle(nnx.silu(self.first(x))))
        location, log_scale = jnp.split(self.last(h), 2, axis=-1)
        return location, 4 * jnp.tanh(log_scale / 4)  # from a 55th to 55 times


def draw(keys: jax.Array, location: jax.Array, log_scale: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Draw u of equation (1).

    Args:
        keys: JAX random keys, [batch].
        location: m, [batch, *data].
        log_scale: s, [batch, *data].

    Returns:
        u in [0, 1], [batch, *data]; and log q(u), nats, [batch].
    """
    shape, dtype = location.shape[1:], location.dtype
    tiny = jnp.finfo(dtype).tiny
    logistic = jax.vmap(lambda key: jax.random.logistic(key, shape, dtype))(keys)
    z = location + jnp.exp(log_scale) * logistic
    log_q = _log_slope(logistic) - log_scale - _log_slope(z)
    return jnp.maximum(jax.nn.sigmoid(z), tiny), log_q.sum(tuple(range(1, log_q.ndim)))


def _log_slope(z: jax.Array) -> jax.Array:
    """log of the derivative of sigmoid(z), which is the density of the logistic distribution."""
    return jax.nn.log_sigmoid(z) + jax.nn.log_sigmoid(-z)


class Variational:
    """Noise of equation (1), as a member of dequantization.DEQUANTIZATIONS is called.

    Args:
        params: of the network, on the host.
        channels: of an image.
    """

    def __init__(self, params: dict[str, np.ndarray], channels: int):
        self._params, self._apply = params, _network(channels).apply

    def __call__(
        self, keys: jax.Array, images: jax.Array, lattice: Lattice, sde: SDE
    ) -> Dequantized:
        """Noise on tiles, as `dequantization.uniform`, whose arguments these are."""
        return _dequantize(self._apply, self._params, keys, images, lattice)


def fit(subject: Subject, process: SDE, steps: int) -> Variational:
    """Fit the noise to the model, or take what was fitted before from the run's folder.

    Args:
        subject: the model, and the images that it was trained on.
        process: of the likelihood.
        steps: of Adam, its learning rate decaying to 0 by a cosine.

    Returns:
        The noise.
    """
    source = subject.training()
    channels = subject.space.shape[-1]
    protocol = subject.protocol() | subject.data_protocol()
    del protocol["data"]  # what is evaluated: the noise is fitted to other images
    protocol |= {
        "fitted_to": {
            "name": source.info.name,
            "split": source.info.split,
            "of": len(source),
            "sha256": examples_fingerprint(source, subject.field, len(source)),
        },
        "steps": steps,
        "t_min": process.t_min,
    }
    parts = Parts(subject.folder, "dequantization", protocol, subject.say)
    for params in parts:
        return Variational(params, channels)
    # Every process has looked before the first one writes.
    multihost_utils.sync_global_devices("the fitted noise was looked for")
    params = _fitted(subject, process, steps)
    if jax.process_index() == 0:
        with files.writing(subject.workdir):
            parts.append(0, params)
    return Variational(params, channels)


def log_snr_range(process: SDE) -> tuple[float, float]:
    """log SNR at t_min and at t_max, between which equation (2) integrates.

    Raises:
        ValueError: it has no end.
    """
    with np.errstate(divide="ignore"):
        first, last = process.log_snr(np.array([process.t_min, process.t_max])).tolist()
    if not np.isfinite(last):
        raise ValueError(
            f"dequantization=variational: {process} ends at a signal-to-noise ratio of 0, which "
            "the fit cannot reach: use another dequantization"
        )
    return first, last


def _network(channels: int) -> Any:
    return functional(lambda rngs: Noise(channels, rngs=rngs))


def _dequantize(
    apply: Callable[..., Any], params: Arrays, keys: jax.Array, images: jax.Array, lattice: Lattice
) -> Dequantized:
    tiles = lattice._replace(tiled=True)
    low, high = tiles.intervals(images, jnp.result_type(float))
    # The network sees what it was fitted to, whatever range the model's data are in.
    u, log_q = draw(keys, *apply(params, {}, (low + high).astype(jnp.float32)))
    log_width = np.log(2 * tiles.half_width) * low[0].size
    return Dequantized(low + (high - low) * u, log_width - log_q)


def _fitted(subject: Subject, process: SDE, steps: int) -> dict[str, np.ndarray]:
    """The network's parameters after the fit, on the host."""
    source, mesh = subject.training(), subject.mesh
    everywhere, sharding = replicated(mesh), batch_sharding(mesh)
    network = _network(subject.space.shape[-1])
    key = jax.random.fold_in(jax.random.key(subject.seed), _STREAM)
    optimiser = optax.adam(optax.cosine_decay_schedule(LEARNING_RATE, steps))
    bound = _bound(subject, process, network.apply)

    def step(state: Any, model: Any, batch: dict[str, jax.Array], number: jax.Array) -> Any:
        batch = jax.lax.with_sharding_constraint(batch, sharding)
        params, moments = state
        value, gradient = jax.value_and_grad(bound)(
            params, model, batch, jax.random.fold_in(key, number)
        )
        updates, moments = optimiser.update(gradient, moments, params)
        return (optax.apply_updates(params, updates), moments), value

    compiled = jax.jit(step, donate_argnums=0, out_shardings=everywhere)
    params, _ = network.init(jax.random.fold_in(key, steps))
    state = to_devices(everywhere, jax.device_get((params, optimiser.init(params))))
    size = -(-BATCH // mesh.size) * mesh.size
    for number in range(steps):
        rows = np.random.default_rng([subject.seed, number]).integers(len(source), size=size)
        batch = to_devices(everywhere, source.gather(rows))
        state, value = compiled(state, subject.weights, batch, number)
        if (number + 1) % 100 == 0 or number + 1 == steps:
            subject.say(f"dequantization: step {number + 1}/{steps}, {float(value):.3f} nats")
    return jax.device_get(state[0])


def _bound(subject: Subject, process: SDE, apply: Callable[..., Any]) -> Callable[..., jax.Array]:
    """Equation (2) and log q, nats: the mean over a batch, but for a constant."""
    lattice = subject.space.lattice
    first, last = log_snr_range(process)

    def bound(params: Arrays, model: Any, batch: dict[str, jax.Array], key: jax.Array) -> jax.Array:
        keys, key_times, key_noise = jax.random.split(key, 3)
        images = batch[subject.field]
        size = len(images)
        keys = jax.random.split(keys, size)
        x, log_factor = _dequantize(apply, params, keys, images, lattice)
        times, _ = draw_times(key_times, process, size, importance_times(), stratified=True)
        times, eps = times.astype(x.dtype), jax.random.normal(key_noise, x.shape, x.dtype)
        noisy = expand(process.alpha(times), x) * x + expand(process.sigma(times), x) * eps
        denoise = subject.make(*model)
        error = eps - denoise(noisy, times, subject.told(batch)).eps
        squares = jnp.sum(error**2, tuple(range(1, x.ndim)))
        return jnp.mean(0.5 * (first - last) * squares - log_factor)

    return bound
