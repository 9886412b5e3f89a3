"""Keeping the predicted data in their range while sampling: clipping and dynamic thresholding."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import jax
import jax.numpy as jnp

from score_sde.composite import Composite, bound
from score_sde.prediction import Denoiser, Prediction
from score_sde.processes import SDE, expand


@dataclasses.dataclass(frozen=True)
class Thresholded(Composite):
    """x0 within [-limit, limit], and eps such that the pair stays consistent.

    With a percentile p the limit of an example is the larger of `limit` and the share p of the
    absolute values of its x0, which is then divided by that over `limit` (Saharia et al. 2022,
    arXiv 2205.11487, Section 2.3, whose limit is 1).

    Attributes:
        limit: of the range, in the model's units.
        percentile: p, a share; 0 for clipping alone.
        sde: the process, of which it learns by `bound`.
    """

    limit: float = 1.0
    percentile: float = 0.0
    sde: SDE | None = None

    def bound(self, sde: SDE) -> Thresholded:
        """See Composite."""
        return dataclasses.replace(self, denoise=bound(self.denoise, sde), sde=sde)

    def __call__(
        self, x: jax.Array, t: jax.Array, cond: Mapping[str, jax.Array] | None = None
    ) -> Prediction:
        """See Composite."""
        x0 = self.denoise(x, t, cond).x0
        limit = jnp.full(x0.shape[:1], self.limit, x0.dtype)
        if self.percentile:
            sizes = jnp.abs(x0).reshape(len(x0), -1)
            limit = jnp.maximum(limit, jnp.quantile(sizes, self.percentile, axis=1))
        limit = expand(limit, x0)
        x0 = jnp.clip(x0, -limit, limit) * (self.limit / limit)
        alpha, sigma = expand(self.sde.alpha(t), x), expand(self.sde.sigma(t), x)
        return Prediction(x0, (x - alpha * x0) / sigma)


def thresholded(denoise: Denoiser, limit: float, percentile: float) -> Denoiser:
    """`Thresholded`, or the denoiser itself if the limit is 0."""
    return Thresholded(denoise, limit, percentile) if limit else denoise
