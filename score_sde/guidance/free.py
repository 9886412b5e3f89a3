"""Guidance without a classifier: mixtures of a model's own predictions."""

from __future__ import annotations

from collections.abc import Mapping

import jax

from score_sde.prediction import Denoiser, Prediction


def classifier_free(
    denoise: Denoiser, scale: float, negative: Mapping[str, jax.Array] | None = None
) -> Denoiser:
    """Sample a condition with a conditional model alone, D = D_null + scale (D_cond - D_null).

    Ho and Salimans 2022 (arXiv 2207.12598), whose w is scale - 1.

    Args:
        denoise: a conditional model's denoiser, trained to know no condition too.
        scale: 1 is the conditional model, 0 the unconditional one, more than 1 sharpens.
        negative: the condition to lead away from; None for no condition.

    Returns:
        denoise(x, t, cond). An evaluation costs two of `denoise`; samplers count it as one.
    """

    def guided(
        x: jax.Array, t: jax.Array, cond: Mapping[str, jax.Array] | None = None
    ) -> Prediction:
        given, free = denoise(x, t, cond), denoise(x, t, negative)
        return jax.tree.map(lambda u, c: u + scale * (c - u), free, given)

    return guided
