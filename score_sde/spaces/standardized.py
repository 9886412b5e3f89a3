"""Mean and standard deviation of the latents of training examples."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from score_sde.autoencoder import Gaussian
from score_sde.errors import UserError

if TYPE_CHECKING:
    from score_sde.data.base import Source

MOST = 4096  # examples that are looked at, evenly spaced
_NUMBERS = 2**21  # of examples that are encoded at a time, at most


class Moments(NamedTuple):
    """Of latents.

    Attributes:
        mean: of each channel, or of all, [channels or 1].
        std: standard deviation about it, [channels or 1].
    """

    mean: np.ndarray
    std: np.ndarray


def measured(
    source: Source,
    name: str,
    posterior: Callable[[jax.Array], Gaussian],
    sample: bool,
    per_channel: bool,
) -> Moments:
    """Measure z ~ q(z | x) over examples x: its mean is E m, and its variance Var m + E s^2.

    So nothing is drawn (Rombach et al. 2022, 2112.10752, Appendix G, measure a batch of draws).

    Args:
        source: the examples.
        name: of the field.
        posterior: q(z | x), of mean m and standard deviation s.
        sample: whether z is drawn; else it is m.
        per_channel: whether each channel, the last axis, is measured for itself.

    Raises:
        UserError: latents are not finite, or do not vary.
    """
    rows = np.linspace(0, len(source) - 1, min(MOST, len(source))).astype(np.int64)
    size = max(1, min(64, len(rows), _NUMBERS // int(np.prod(source.info[name].shape))))
    sums, squares, count = 0.0, 0.0, 0
    for start in range(0, len(rows) - size + 1, size):  # whole batches, of one shape
        found = jax.device_get(
            posterior(jnp.asarray(source.gather(rows[start : start + size])[name]))
        )
        mean, std = (np.asarray(part, np.float64) for part in (found.mean, found.std))
        axes = tuple(range(mean.ndim - 1)) if per_channel else None
        sums += mean.sum(axes)
        squares += (mean**2 + (std**2 if sample else 0)).sum(axes)
        count += mean.size // (mean.shape[-1] if per_channel else 1)
    mean = np.atleast_1d(sums / count)
    std = np.sqrt(np.atleast_1d(squares / count) - mean**2)
    if not (np.isfinite(std) & (std > 0)).all():
        raise UserError(
            "config.space: the latents of the autoencoder are not finite, or a channel "
            "of them is always the same: train it longer, or with fewer channels"
        )
    return Moments(mean, std)
