r"""Guidance: from denoiser to denoiser, so that it composes with every sampler.

By Bayes' rule the score of the data of a class y is

    grad_x log p_t(x | y) = grad_x log p_t(x) + grad_x log p(y | x_t)                        (1)

(Song et al. 2021, arXiv 2011.13456, equation 14 and Appendix I.1). s times the last term, G, makes
of a prediction (see bayes.py)

    eps' = eps - s sigma G,        x0' = x0 + s (sigma^2 / alpha) G.                         (2)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import jax
import jax.numpy as jnp

from score_sde.classifier import LogProb
from score_sde.composite import Composite
from score_sde.guidance.bayes import gain, shifted
from score_sde.prediction import Denoiser, Prediction
from score_sde.processes import SDE


@dataclasses.dataclass(frozen=True, eq=False)
class Classified(Composite):
    """Equation (2); attributes as the arguments of `classifier`."""

    sde: SDE
    log_prob: LogProb
    scale: float
    field: str
    conditional: bool

    def __call__(
        self, x: jax.Array, t: jax.Array, cond: Mapping[str, jax.Array] | None = None
    ) -> Prediction:
        """See Composite."""
        if cond is None or self.field not in cond:
            raise ValueError(f'guidance by a classifier needs cond["{self.field}"], int [batch]')
        label = cond[self.field]
        others = {name: value for name, value in cond.items() if name != self.field}
        # Each term depends on its own example only, so this is the gradient of each.
        gradient = jax.grad(lambda x: jnp.sum(self.log_prob(x, t, label)))(x)
        prediction = self.denoise(x, t, cond if self.conditional else others or None)
        return shifted(prediction, self.scale * gain(self.sde, t, x) * gradient, self.sde, t)


def classifier(
    denoise: Denoiser,
    sde: SDE,
    log_prob: LogProb,
    scale: float = 1.0,
    *,
    field: str = "label",
    conditional: bool = False,
) -> Denoiser:
    """Sample a class with an unconditional model and a time-dependent classifier, equation (2).

    Args:
        denoise: the model's denoiser.
        sde: the forward process of both.
        log_prob: the classifier, log p(y | x_t). It is differentiated with respect to x.
        scale: s; 1 is Bayes' rule, more than 1 sharpens: p(y | x_t)^s (Dhariwal and Nichol 2021,
            arXiv 2105.05233).
        field: the name of y among the conditions.
        conditional: whether `denoise` is given y too, beside the other conditions.

    Returns:
        denoise(x, t, cond), where cond holds y, int [batch]. An evaluation costs what `denoise`
        costs, which samplers count, and a gradient of `log_prob`, another network's.

    Raises:
        ValueError: (the denoiser, when called) y was not given.
    """
    return Classified(denoise, sde, log_prob, scale, field, conditional)
