"""The one form that every predictor and corrector step has."""

from __future__ import annotations

from typing import NamedTuple

import jax
import numpy as np
from jax.typing import ArrayLike

from score_sde.processes import expand


class Update(NamedTuple):
    """The step  x' = a x + b score + c z,  z ~ N(0, I).

    Attributes:
        a: coefficient of the state.
        b: coefficient of the score.
        c: standard deviation of the noise that is added; at 0 the step gives its mean.

    Each is a scalar, or [batch] for one coefficient per example; a plan of many steps has [steps].
    """

    a: ArrayLike
    b: ArrayLike
    c: ArrayLike

    def __call__(self, x: jax.Array, score: jax.Array, z: jax.Array | np.ndarray) -> jax.Array:
        """Take the step: x, score, z and the result are [batch, *data]."""
        a, b, c = (expand(coefficient, x) for coefficient in self)
        return a * x + b * score + c * z
