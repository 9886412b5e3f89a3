r"""Autoguidance: away from what a weaker version of the model does worse.

    D = D_0 + w (D_1 - D_0)                                                                 (1)

with D_1 the model and D_0 one that was trained less, or is smaller, on the same task: the same
data, process and conditions (Karras et al. 2024, arXiv 2406.02507, Section 4).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import ClassVar

import jax

from score_sde.checks import present
from score_sde.guidance.rule import NOBODY, Extrapolation, Interval, ends
from score_sde.prediction import Denoiser, Prediction
from score_sde.sections import DERIVED


@dataclasses.dataclass(frozen=True, eq=False)
class Autoguidance(Extrapolation):
    """Equation (1); it needs no condition, and both models are told the one that is given.

    Attributes:
        weak: the denoiser of the weaker model.
    """

    DENOISERS: ClassVar[tuple[str, ...]] = ("denoise", "weak")
    ASKS: ClassVar[str] = "weak"
    NEEDS_CONDITION: ClassVar[bool] = False
    NEEDS_WEAK: ClassVar[bool] = True

    scale: float = 2.0
    weak: Denoiser | None = dataclasses.field(default=None, metadata=DERIVED)

    def both(
        self, x: jax.Array, t: jax.Array, cond: Mapping[str, jax.Array] | None
    ) -> tuple[Prediction, Prediction]:
        """See Rule."""
        return self.denoise(x, t, cond), present("weak", self.weak)(x, t, cond)


def autoguidance(
    denoise: Denoiser,
    weak: Denoiser,
    scale: float = 2.0,
    *,
    interval: Interval | None = None,
    rescale: float = 0.0,
) -> Denoiser:
    """Guide a model by a weaker version of itself, equation (1).

    Args:
        denoise: the model's denoiser.
        weak: that of the weaker one, of the same process and space.
        scale: w; 1 is the model itself.
        interval: (low, high) of sigma / alpha where it guides; None for everywhere.
        rescale: phi, from 0 to 1; see rule.Extrapolation.

    Returns:
        denoise(x, t, cond). An evaluation costs one of each, of `denoise` alone outside the
        interval, and samplers count both. Where it changes nothing it is `denoise`.

    Raises:
        ValueError: an option is out of its range, or there is no weaker model.
    """
    if not callable(weak):
        raise ValueError(f"autoguidance needs the weaker model's denoiser, not {weak!r}")
    return Autoguidance(NOBODY, scale, ends(interval), rescale=rescale).of(denoise, weak=weak)
