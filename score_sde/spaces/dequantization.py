r"""From the probability of an image's levels to densities: dequantisation, and what it costs.

A pixel takes one of L levels k, and a model has a density p(x). With x = a (c_k + u), c_k the
middle of level k's interval [c_k - h, c_k + h] and u noise of density q on it, importance weights

    w = a^D p(x) / q(u)        have        E_q[w] = P(k),    E_q[log w] <= log P(k),            (1)

where P(k) is the probability of the D intervals under the density of x / a. The mean of log w over
draws of u is therefore a lower bound, and so is, closer to log P(k),

    E log (1/K) sum_j w_j                                                                       (2)

over K draws (Burda et al. 2016, arXiv 1509.00519). Nothing here knows how many levels there are or
in which range the data lies: both are arguments.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import ndtr
from jax.typing import DTypeLike

from score_sde.processes import SDE
from score_sde.spaces import levels


class Lattice(NamedTuple):
    """Where the levels lie in the model's range.

    Attributes:
        levels: L.
        centered: whether the model's range is [-1, 1] and not [0, 1].
        tiled: whether the model was trained on dequantised data, whose intervals tile the range:
            [k, k + 1] / L; if not, level k was the point k / (L - 1).
    """

    levels: int
    centered: bool
    tiled: bool

    @property
    def half_width(self) -> float:
        """h."""
        width = 2 if self.centered else 1
        return width / (self.levels if self.tiled else self.levels - 1) / 2

    def middles(self, images: jax.Array) -> jax.Array:
        """c_k of each pixel of uint8 images; their shape."""
        if self.tiled:
            return levels.middles(images, self.levels, self.centered)
        return levels.to_model(images, self.centered)

    def intervals(self, images: jax.Array, dtype: DTypeLike) -> tuple[jax.Array, jax.Array]:
        """Ends of the interval of each pixel's level: they tile the line, to the last digit.

        Not tiled, a uint8 pixel, and so c_k, is up to 1/510 of the range away from their middle.

        Args:
            images: uint8, [batch, ...].
            dtype: of the ends.

        Returns:
            The lower and the upper ends, the shape of images each.
        """
        k = jnp.round(images.astype(dtype) * ((self.levels - 1) / 255))
        ends = (k, k + 1) if self.tiled else (k - 0.5, k + 0.5)
        count = self.levels if self.tiled else self.levels - 1
        low, high = (end / count for end in ends)
        return (2 * low - 1, 2 * high - 1) if self.centered else (low, high)


class Dequantized(NamedTuple):
    """Draws of noise.

    Attributes:
        x: states, [batch, *data].
        log_factor: log(a^D / q(u)), nats, [batch]: add log p(x) for log w of equation (1).
    """

    x: jax.Array
    log_factor: jax.Array


def uniform(keys: jax.Array, images: jax.Array, lattice: Lattice, sde: SDE) -> Dequantized:
    """u uniform and a = 1, on intervals that tile the range, whatever the model was trained on.

    Theis et al. 2016 (arXiv 1511.01844), Section 3.1: the protocol of published bits/dim. The bits
    that the factor stands for are log2 L for data in [0, 1], and log2(L / 2) in [-1, 1].

    Args:
        keys: JAX random keys, [batch].
        images: uint8, [batch, *data].
        lattice: where the levels lie; `tiled` makes no difference.
        sde: not used.
    """
    tiles = lattice._replace(tiled=True)

    def one(key: jax.Array, image: jax.Array) -> jax.Array:
        return levels.dequantize(key, image[None], tiles.levels, tiles.centered)[0]

    log_q = -math.log(2 * tiles.half_width) * math.prod(images.shape[1:])
    return Dequantized(jax.vmap(one)(keys, images), jnp.full(len(images), -log_q))


def truncated_normal(keys: jax.Array, images: jax.Array, lattice: Lattice, sde: SDE) -> Dequantized:
    """u normal, truncated to the interval, and a = alpha(t_min): nearly the noise of t_min itself.

    Zheng et al. 2023 (arXiv 2305.03935), Section 4.1. u has the standard deviation sigma / alpha
    at t_min around the value that the pixel had in training, so that x has the distribution on
    which the model was trained there, except for the tails that reach other levels. It suits
    models that were not trained on dequantised data.

    Args:
        keys: JAX random keys, [batch].
        images: uint8, [batch, *data].
        lattice: where the levels lie, as the model was trained.
        sde: the process, whose t_min is where the likelihood begins.
    """
    t_min = np.float64(sde.t_min)
    alpha = float(sde.alpha(t_min))
    std = float(sde.sigma(t_min)) / alpha
    middles = lattice.middles(images)
    ends = ((end - middles) / std for end in lattice.intervals(images, middles.dtype))

    def one(
        key: jax.Array, middle: jax.Array, low: jax.Array, high: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        e = jax.random.truncated_normal(key, low, high)
        density = std * math.sqrt(2 * math.pi) * (ndtr(high) - ndtr(low))
        log_q = -jnp.sum(0.5 * e**2 + jnp.log(density))
        return alpha * (middle + std * e), middle.size * math.log(alpha) - log_q

    return Dequantized(*jax.vmap(one)(keys, middles, *ends))


DEQUANTIZATIONS: dict[str, Callable[[jax.Array, jax.Array, Lattice, SDE], Dequantized]] = {
    "uniform": uniform,
    "truncated_normal": truncated_normal,
}
