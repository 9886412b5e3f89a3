"""Autoencoders of latent diffusion: an image or a signal as a Gaussian of latents, and back."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from score_sde import keys


class Gaussian(NamedTuple):
    """q(z | x), independent numbers.

    Attributes:
        mean: [batch, *latents].
        log_variance: [batch, *latents].
    """

    mean: jax.Array
    log_variance: jax.Array

    @property
    def std(self) -> jax.Array:
        """Standard deviations, [batch, *latents]."""
        return jnp.exp(0.5 * self.log_variance)

    def draw(self, key: jax.Array) -> jax.Array:
        """A draw of each, [batch, *latents]; one JAX random key, or one for each, [batch]."""
        return self.mean + self.std * keys.normal(key, self.mean.shape, self.mean.dtype)

    def kl(self) -> jax.Array:
        """KL(q(z | x) || N(0, I)), nats, [batch] (Kingma and Welling 2014, 1312.6114, App. B)."""
        each = self.mean**2 + jnp.exp(self.log_variance) - 1 - self.log_variance
        return 0.5 * jnp.sum(each, axis=tuple(range(1, each.ndim)))


@dataclasses.dataclass(frozen=True)
class KLAutoencoder:
    """The autoencoder of a network that has the methods of those of models.autoencoder.

    Attributes:
        network: of its own arguments and `method`.
    """

    network: Callable[..., Any]

    def encode(self, x: jax.Array) -> Gaussian:
        """q(z | x) of images or signals in [-1, 1], [batch, *shape of one]."""
        return Gaussian(*self.network(x, method="encode"))

    def decode(self, z: jax.Array) -> jax.Array:
        """The images or signals of latents, about in [-1, 1]."""
        return self.network(z, method="decode")
