r"""Adaptive projected guidance: classifier-free guidance without what oversaturates.

With the update U = D_c - D_u, shortened to a norm of at most r, and split into the part along D_c
and the part orthogonal to it (inner products over an example),

    U' = U min(1, r / |U|),      U' = U_par + U_orth,                                       (1)
    D = D_c + (w - 1) (U_orth + eta U_par)                                                  (2)

(Sadat et al. 2024, arXiv 2410.02416, Section 5 and Algorithm 1). eta = 1 without r is
classifier-free guidance. The paper's third part, a momentum over the steps of a sampler, depends on
its path and not on (x, t) alone, so that no ODE has it: it is not here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import jax
import jax.numpy as jnp

from score_sde.guidance.pairs import moved, told_both
from score_sde.guidance.rule import NOBODY, Interval, Rule, ends
from score_sde.prediction import Denoiser, Prediction
from score_sde.processes import expand
from score_sde.sections import DERIVED_ARRAY
from score_sde.values import NotNegative


@dataclasses.dataclass(frozen=True, eq=False)
class AdaptiveProjected(Rule):
    """Equations (1) and (2).

    Attributes:
        eta: how much of the part along the prediction is kept; the paper's is 0.
        norm: r, in the units of a whole example; 0 for no limit.
        negative: the condition to lead away from; None for no condition.
        keeps: see ClassifierFree.
    """

    scale: float = 4.0
    eta: NotNegative = 0.0
    norm: NotNegative = 0.0
    negative: Mapping[str, jax.Array] | None = dataclasses.field(
        default=None, metadata=DERIVED_ARRAY
    )
    keeps: tuple[str, ...] = ()

    @property
    def of_numbers(self) -> bool:
        """See Rule: what is orthogonal to x0 is asked for."""
        return True

    def both(
        self, x: jax.Array, t: jax.Array, cond: Mapping[str, jax.Array] | None
    ) -> tuple[Prediction, Prediction]:
        """See Rule: of one batched call."""
        return told_both(self.denoise, x, t, cond, self.negative, self.keeps)

    def combine(self, wanted: Prediction, other: Prediction) -> Prediction:
        """See Rule."""
        update, along = wanted.x0 - other.x0, wanted.x0
        if self.norm:
            size = jnp.sqrt(_inner(update, update))
            update = update * expand(self.norm / jnp.maximum(size, self.norm), update)
        length = _inner(along, along)
        share = jnp.where(length > 0, _inner(update, along) / jnp.where(length > 0, length, 1), 0)
        parallel = expand(share, along) * along
        step = (self.scale - 1) * (update - (1 - self.eta) * parallel)
        return moved(wanted, step, wanted, other)


def _inner(a: jax.Array, b: jax.Array) -> jax.Array:
    return jnp.sum((a * b).reshape(len(a), -1), axis=1)


def adaptive_projected(
    denoise: Denoiser,
    scale: float = 4.0,
    *,
    eta: float = 0.0,
    norm: float = 0.0,
    interval: Interval | None = None,
    negative: Mapping[str, jax.Array] | None = None,
) -> Denoiser:
    """Sample a condition with a conditional model alone, equations (1) and (2).

    Args:
        denoise: a conditional model's denoiser, trained to know no condition too.
        scale: w; 1 is the conditional model.
        eta: how much of the part along the prediction is kept.
        norm: r, the largest norm of the update of an example; 0 for no limit.
        interval: (low, high) of sigma / alpha where it guides; None for everywhere.
        negative: the condition to lead away from, [batch, ...] or [1, ...] each; None for none.

    Returns:
        denoise(x, t, cond); costs and errors as of guidance.classifier_free.
    """
    rule = AdaptiveProjected(NOBODY, scale, ends(interval), eta=eta, norm=norm, negative=negative)
    return rule.of(denoise)
