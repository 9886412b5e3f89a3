r"""Classifier-free guidance: from what a model knows of no condition to what it knows of one.

    D = D_u + w (D_c - D_u)                                                                 (1)

with D_c given the condition and D_u given none, or one to lead away from (Ho and Salimans 2022,
arXiv 2207.12598, equation 6, whose w is w - 1 here).
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping

import jax

from score_sde.checks import check_name
from score_sde.guidance.pairs import RESCALED, X0, told_both
from score_sde.guidance.rule import NOBODY, Extrapolation, Interval, ends
from score_sde.prediction import Denoiser, Prediction
from score_sde.sections import DERIVED_ARRAY


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=("denoise", "scale", "negative"),
    meta_fields=("interval", "sde", "rescale", "rescales", "keeps"),
)
@dataclasses.dataclass(frozen=True, eq=False)
class ClassifierFree(Extrapolation):
    """Equation (1): a conditional model alone.

    A pytree of its denoiser, scale and negative condition, if the denoiser is one: a function that
    takes it under jit is compiled once for all of these.

    Attributes:
        negative: the condition to lead away from; None for no condition.
        keeps: names of conditions that both are told, and nothing leads away from: those that a
            model has not learnt to do without.
    """

    negative: Mapping[str, jax.Array] | None = dataclasses.field(
        default=None, metadata=DERIVED_ARRAY
    )
    keeps: tuple[str, ...] = ()

    def both(
        self, x: jax.Array, t: jax.Array, cond: Mapping[str, jax.Array] | None
    ) -> tuple[Prediction, Prediction]:
        """See Rule: of one batched call."""
        return told_both(self.denoise, x, t, cond, self.negative, self.keeps)


def classifier_free(
    denoise: Denoiser,
    scale: float = 3.0,
    negative: Mapping[str, jax.Array] | None = None,
    *,
    interval: Interval | None = None,
    rescale: float = 0.0,
    rescales: str = X0,
) -> Denoiser:
    """Sample a condition with a conditional model alone, equation (1).

    Args:
        denoise: a conditional model's denoiser, trained to know no condition too.
        scale: w; 1 is the conditional model, 0 the unconditional one, more than 1 sharpens.
        negative: the condition to lead away from, [batch, ...] or [1, ...] each; None for none.
        interval: (low, high) of sigma / alpha where it guides; None for everywhere. Outside D_c
            alone is evaluated.
        rescale: phi, from 0 to 1; see rule.Extrapolation.
        rescales: what is rescaled, "x0", "eps" or "v"; likewise.

    Returns:
        denoise(x, t, cond). An evaluation costs two of `denoise`, one outside the interval, and
        samplers count so. Where it changes nothing (scale 1, an empty interval) it is `denoise`.

    Raises:
        ValueError: an option is out of its range; (the denoiser, when called) there is no
            condition.
    """
    check_name("rescales", rescales, RESCALED)
    rule = ClassifierFree(
        NOBODY,
        scale,
        ends(interval),
        rescale=rescale,
        rescales=rescales,
        negative=negative,
    )
    return rule.of(denoise)
