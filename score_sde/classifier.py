"""Time-dependent classifiers: p(y | x_t), the class of a noisy example, for any process."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Protocol

import jax
import jax.numpy as jnp

from score_sde.noise_labels import NOISE_LABELS
from score_sde.processes import SDE, expand


class LogProb(Protocol):
    """log p(y | x_t), nats: x [batch, *data], t [batch] (or []) and label [batch] to [batch]."""

    def __call__(self, x: jax.Array, t: jax.Array, label: jax.Array) -> jax.Array:
        """The log-probability of each label, given x at time t."""


@dataclasses.dataclass(frozen=True)
class Classifier:
    """The classifier of a network, for any process.

    The network sees x / sqrt(alpha^2 + sigma^2), which stays of order 1, and by default the noise
    level sigma / alpha. For VE that is sigma, on whose logarithm the paper conditions; and unlike
    sigma it tells the noise levels of a VP process apart where they are large.

    Attributes:
        network: maps a state [batch, *data] and noise levels [batch] to logits [batch, classes].
        sde: the forward process.
        noise_label: how the network is told the time; one of noise_labels.NOISE_LABELS.
    """

    network: Callable[[jax.Array, jax.Array], jax.Array]
    sde: SDE
    noise_label: Callable[[SDE, jax.Array], jax.Array] = NOISE_LABELS["ratio"]

    def log_probs(self, x: jax.Array, t: jax.Array) -> jax.Array:
        """log p(y | x_t) of every class y, in nats.

        Args:
            x: state, [batch, *data].
            t: time, [batch] or [].

        Returns:
            [batch, classes].
        """
        t = jnp.broadcast_to(jnp.asarray(t, x.dtype), x.shape[:1])
        alpha, sigma = self.sde.alpha(t), self.sde.sigma(t)
        x = x / expand(jnp.sqrt(alpha**2 + sigma**2), x)
        return jax.nn.log_softmax(self.network(x, self.noise_label(self.sde, t)))

    def log_prob(self, x: jax.Array, t: jax.Array, label: jax.Array) -> jax.Array:
        """log p(y | x_t) of one class each, in nats; see LogProb.

        Args:
            x: state, [batch, *data].
            t: time, [batch] or [].
            label: classes, int [batch].

        Returns:
            [batch]; NaN of a label that is no class, and so is its gradient.
        """
        log_probs = self.log_probs(x, t)
        is_class = (label >= 0) & (label < log_probs.shape[1])
        chosen = jnp.take_along_axis(log_probs, label[:, None], axis=1)[:, 0]
        return chosen * jnp.where(is_class, 1.0, jnp.nan).astype(chosen.dtype)
