"""Guidance that a student has learnt: it is told the scale, and costs one evaluation.

Meng et al. 2022 (arXiv 2210.03142); see objectives.guidance_distillation, which trains such models.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import ClassVar

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from score_sde.composite import Composite
from score_sde.guidance.rule import Rule
from score_sde.objectives.guidance_distillation import SCALE
from score_sde.prediction import Prediction


@dataclasses.dataclass(frozen=True, eq=False)
class Distilled(Rule):
    """The student, told the scale; 1 where sigma / alpha is not in the interval."""

    NEEDS_CONDITION: ClassVar[bool] = False
    TELLS: ClassVar[str] = SCALE

    def guided(
        self, x: jax.Array, t: jax.Array, cond: Mapping[str, jax.Array] | None
    ) -> tuple[Prediction, Prediction]:
        """See Rule: what the student says, twice."""
        scale = jnp.full(x.shape[:1], self.scale, x.dtype)
        if self.interval:
            scale = jnp.where(self._inside(t), scale, 1)
        return (self.denoise(x, t, {**(cond or {}), SCALE: scale}),) * 2

    def evaluations(self, t: ArrayLike) -> ArrayLike:
        """See Composite: those of the student."""
        return Composite.evaluations(self, t)
