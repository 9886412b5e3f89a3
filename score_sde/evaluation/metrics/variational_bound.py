r"""The discrete variational bound: bits/dim of a model as a Markov chain of N noise levels.

With x_1 ... x_N the states at times t_1 < ... < t_N of any process here, -log P(k) of the levels k
of an image, which lie at x, is at most (Ho et al. 2020, arXiv 2006.11239, equation 5)

    KL(q(x_N | x) || prior) + sum_{i=2}^N KL(q(x_{i-1} | x_i, x) || p(x_{i-1} | x_i))
        + E[-log p(k | x_1)].                                                               (1)

p(x_s | x_t) is q(x_s | x_t, x0) with the denoiser's x0 for the data. If it has the same variance,

    KL = 1/2 (SNR(s) - SNR(t)) |x - x0(x_t)|^2,    SNR = alpha^2 / sigma^2                  (2)

(Kingma et al. 2021, VDM, arXiv 2107.00630, equations 11 to 13 and Appendix A). That variance is
r = sigma_s^2 / sigma_t^2 times the one of q(x_t | x_s). If p has the latter, D the dimension,

    KL = r/2 (SNR(s) - SNR(t)) |x - x0(x_t)|^2 + D/2 (r - 1 - log r).                       (3)

They are DDPM's two choices, beta_tilde and beta ("small" and "large"). p(k | x_1) is its
discretised Gaussian decoder (equation 13): the mass of N(x0(x_1), sigma_1^2) on the interval of
each level, where the outermost intervals reach to infinity.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import log_ndtr

from score_sde import keys, sections
from score_sde.evaluation import per_example
from score_sde.evaluation.metric import DENOISER, Entries, Metric
from score_sde.evaluation.subject import Subject
from score_sde.prediction import Denoiser
from score_sde.processes import SDE
from score_sde.samplers.grids import GRIDS, MOST_STEPS
from score_sde.spaces import Lattice, Space
from score_sde.values import between, one_of

# Variances of the reverse steps, equations (2) and (3).
VARIANCES = ("small", "large")


@dataclasses.dataclass(frozen=True)
class VariationalBound(Metric):
    """Equation (1) of the module.

    Attributes:
        steps: N, noise levels of the chain.
        grid: where they lie in time, a name in samplers.grids.GRIDS.
        variance: of the reverse steps: "small", that of q(x_s | x_t, x_0), or "large", that of
            q(x_t | x_s).
    """

    NEEDS: ClassVar[str] = DENOISER

    steps: Annotated[int, between(2, MOST_STEPS)] = 1000
    grid: Annotated[str, one_of(GRIDS)] = "uniform"
    variance: Annotated[str, one_of(VARIANCES)] = "small"

    def __post_init__(self) -> None:
        sections.check(self)

    def prepare(self, subject: Subject) -> Callable[[], Entries]:
        """See Metric.

        Raises:
            ValueError: the data are continuous, or the process does not go with the grid.
        """
        if subject.space.lattice is None:
            raise ValueError("it is of discrete data, and these have no levels: use log_likelihood")
        try:
            noise_levels(subject.sde, self)
        except ValueError as error:
            raise ValueError(f"grid={self.grid}: {error}") from error
        return lambda: {"variational_bound": variational_bound(subject, self)}


class Terms(NamedTuple):
    """The three terms of equation (1), nats, [batch] each.

    Attributes:
        prior: the first; L_T of DDPM, exact.
        diffusion: the sum, of one draw of noise for each of its steps.
        decoder: the last, of one draw; L_0 of DDPM.
    """

    prior: jax.Array
    diffusion: jax.Array
    decoder: jax.Array


def variational_bound(subject: Subject, options: VariationalBound) -> dict[str, Any]:
    """Measure the bound of equation (1), or go on with a measurement that was interrupted.

    Args:
        subject: the model and the data.
        options: how.

    Returns:
        The entry of evaluation.json: value and standard error over images, bits/dim; the mean of
        each term; how they were made.
    """
    sde, lattice = subject.sde, subject.space.lattice
    times = noise_levels(sde, options)

    def measure(
        denoise: Denoiser, space: Space, key: jax.Array, batch: Mapping[str, jax.Array]
    ) -> dict[str, jax.Array]:
        images, cond = batch[subject.field], subject.told(batch)
        return terms(key, denoise, sde, images, lattice, times, options.variance, cond)._asdict()

    protocol = subject.protocol() | subject.data_protocol() | dataclasses.asdict(options)
    found = per_example.of_examples(subject, "variational_bound", protocol, measure)
    nats_to_bits = 1 / (math.prod(subject.space.shape) * math.log(2))
    bits = {name: nats * nats_to_bits for name, nats in found.items()}
    whole = sum(bits[name] for name in Terms._fields)
    error = per_example.standard_error(whole)
    return {
        "value": float(whole.mean()),
        "standard_error": None if error is None else float(error),
        "unit": "bits/dim",
        "examples": len(whole),
        "nfe": options.steps,
        "terms": {name: float(bits[name].mean()) for name in Terms._fields},
        "protocol": protocol,
    }


def noise_levels(sde: SDE, options: VariationalBound) -> np.ndarray:
    """t_1 < ... < t_N, float64 [N].

    From t_min to t_max; from 0 for a discrete sequence, whose first level is there. A sequence of
    N levels on the uniform grid thus gets its own.
    """
    times = GRIDS[options.grid](sde, options.steps)[::-1]
    if sde.scales is not None:
        times = (times - sde.t_min) * (sde.t_max / (sde.t_max - sde.t_min))
    return times


def terms(
    key: jax.Array,
    denoise: Denoiser,
    sde: SDE,
    images: jax.Array,
    lattice: Lattice,
    times: np.ndarray,
    variance: str,
    cond: Any = None,
) -> Terms:
    """The terms of equation (1) of a batch of images.

    Args:
        key: JAX random keys, one for each image, [batch].
        denoise: the denoiser.
        sde: the forward process.
        images: uint8, [batch, *data].
        lattice: where their levels lie in the model's range.
        times: t_1 < ... < t_N, float64 [N], N > 1.
        variance: "small" or "large".
        cond: condition passed to denoise.

    Returns:
        In the dtype of JAX's floats.
    """
    x = lattice.middles(images).astype(jnp.result_type(float))
    axes, dimension = tuple(range(1, x.ndim)), math.prod(x.shape[1:])

    def predicted(key: jax.Array, t: jax.Array) -> jax.Array:
        """x0(x_t) at a draw of x_t."""
        noise = keys.normal(key, x.shape, x.dtype)
        return denoise(sde.alpha(t) * x + sde.sigma(t) * noise, jnp.full(len(x), t), cond).x0

    def step(total: jax.Array, inputs: tuple[jax.Array, ...]) -> tuple[jax.Array, None]:
        number, t, weight, constant = inputs
        error = jnp.sum((x - predicted(keys.fold_in(key, number), t)) ** 2, axes)
        return total + weight * error + constant, None

    weight, constant = _step_coefficients(sde, times, variance)
    inputs = (times[1:], weight, dimension * constant)
    inputs = tuple(jnp.asarray(a, x.dtype) for a in inputs)
    # Step 0 is the decoder's; later ones are numbered from 1.
    numbers = jnp.arange(1, len(times))
    diffusion, _ = jax.lax.scan(step, jnp.zeros(len(x), x.dtype), (numbers, *inputs))
    mean = predicted(keys.fold_in(key, 0), jnp.asarray(times[0], x.dtype))
    decoder = -jnp.sum(_log_mass(images, mean, float(sde.sigma(times[0])), lattice), axes)
    return Terms(_prior(sde, x, times[-1]), diffusion, decoder)


def _step_coefficients(sde: SDE, times: np.ndarray, variance: str) -> tuple[np.ndarray, np.ndarray]:
    """The factor of |x - x0|^2, and what is added for each dimension, of equation (2) or (3)."""
    s, t = times[:-1], times[1:]
    weight = 0.5 * (np.exp(sde.log_snr(s)) - np.exp(sde.log_snr(t)))
    if variance == "small":
        return weight, np.zeros_like(weight)
    r = (sde.sigma(s) / sde.sigma(t)) ** 2
    return r * weight, 0.5 * (r - 1 - np.log(r))


def _prior(sde: SDE, x: jax.Array, t: float) -> jax.Array:
    """KL(N(alpha x, sigma^2) || N(0, prior_std^2)), nats, [batch]."""
    alpha, sigma = (float(c(np.float64(t))) for c in (sde.alpha, sde.sigma))
    r, dimension = (sigma / sde.prior_std) ** 2, math.prod(x.shape[1:])
    squares = jnp.sum((alpha / sde.prior_std * x) ** 2, tuple(range(1, x.ndim)))
    return 0.5 * (squares + dimension * (r - 1 - math.log(r)))


def _log_mass(images: jax.Array, mean: jax.Array, std: float, lattice: Lattice) -> jax.Array:
    """log of the mass of N(mean, std^2) on the interval of each pixel's level; shape of images."""
    infinity = 1e6  # its normal tail is 0 in every dtype, and its logarithm is finite
    edges = lattice.intervals(images, mean.dtype)
    low, high = ((edge - mean) / std for edge in edges)
    low = jnp.where(images == 0, -infinity, low)
    high = jnp.where(images == 255, infinity, high)
    # In the lower tail log Phi is precise: reflect what lies in the upper one.
    low, high = jnp.where(low + high > 0, -high, low), jnp.where(low + high > 0, -low, high)
    log_high = log_ndtr(high)
    return log_high + jnp.log1p(-jnp.exp(log_ndtr(low) - log_high))
