"""The denoiser of data that lie in a subspace, made of a network's that need not know of it.

Seen from all arrays of their shape, such data are zero off the subspace, with certainty. With P the
projection onto it, the exact denoiser of x = alpha x_0 + sigma eps, eps of all directions, is

    E[x_0 | x] = P E[x_0 | P x],    E[eps | x] = P E[eps | P x] + (x - P x) / sigma,          (1)

whose last term is the noise itself. So a loss with noise in all directions has no error off the
subspace, and is that with noise in it alone, P eps: no objective has to know. What draws and what
measures densities has to, by `lies_in`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import jax

from score_sde.composite import Composite
from score_sde.prediction import Denoiser, Prediction, with_variance
from score_sde.processes import SDE, expand
from score_sde.subspace import Subspace


@dataclasses.dataclass(frozen=True, eq=False)
class Confined(Composite):
    """Equation (1).

    Attributes:
        subspace: where the data lie.
        sde: the process.
    """

    subspace: Subspace
    sde: SDE

    @property
    def TAKES_NULLS(self) -> bool:
        """As of the denoiser; see prediction.Denoiser."""
        return getattr(self.denoise, "TAKES_NULLS", False)

    def lies_in(self) -> Subspace:
        """See Composite."""
        return self.subspace

    def __call__(
        self, x: jax.Array, t: jax.Array, cond: Mapping[str, jax.Array] | None = None
    ) -> Prediction:
        """See Composite."""
        return self._completed(self.denoise(self._inside(x, cond), t, cond), x, t, cond)

    def with_variance(
        self, x: jax.Array, t: jax.Array, cond: Mapping[str, jax.Array] | None = None
    ) -> tuple[Prediction, jax.Array]:
        """See Composite."""
        found, variance = with_variance(self.denoise, self._inside(x, cond), t, cond)
        return self._completed(found, x, t, cond), variance

    def _inside(self, x: jax.Array, cond: Mapping[str, jax.Array] | None) -> jax.Array:
        return self.subspace.project(x, cond)

    def _completed(
        self,
        found: Prediction,
        x: jax.Array,
        t: jax.Array,
        cond: Mapping[str, jax.Array] | None,
    ) -> Prediction:
        """The pair of x, of that of P x."""
        x0, eps = (self.subspace.project(part, cond) for part in found)
        return Prediction(x0, eps + (x - self._inside(x, cond)) / expand(self.sde.sigma(t), x))


def confined(denoise: Denoiser, subspace: Subspace, sde: SDE) -> Denoiser:
    """The denoiser of data in a subspace, equation (1); itself where that is everything.

    Args:
        denoise: asked about states of the subspace alone.
        subspace: where the data lie.
        sde: the process.
    """
    return denoise if subspace == Subspace() else Confined(denoise, subspace, sde)
