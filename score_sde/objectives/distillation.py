r"""Distillation: a student learns to give at once what its teacher gives in more evaluations.

A student is a denoiser of its teacher's process. Its error is that of a pair (x0, eps) of one x_t,
so that the errors of x0 and of eps are multiples of each other, by the signal-to-noise ratio:

    |eps - eps'|^2 = SNR |x0 - x0'|^2,    SNR = (alpha / sigma)^2.                           (1)

Towards t_max, where no signal is left, an error of eps says nothing about the data, which a few
steps have to get right from there. So the published weights on |x0 - x0'|^2 are (Salimans and Ho
2022, arXiv 2202.00512, Section 4)

    truncated_snr     max(SNR, 1),
    snr_plus_one      SNR + 1, that is 1 on v where alpha^2 + sigma^2 = 1.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection
from typing import Annotated, Any, ClassVar, Self

import jax
import jax.numpy as jnp

from score_sde import sections
from score_sde.objectives.base import DENOISER, Objective, is_a
from score_sde.prediction import Denoiser, Prediction
from score_sde.processes import SDE
from score_sde.sections import DERIVED
from score_sde.values import Path, one_of

# Of |x0 - x0'|^2 and |eps - eps'|^2, [batch] each: the weighted error, by equation (1).
WEIGHTED: dict[str, Callable[[jax.Array, jax.Array], jax.Array]] = {
    "truncated_snr": jnp.maximum,
    "snr_plus_one": jnp.add,
}


@dataclasses.dataclass(frozen=True)
class Distillation(Objective):
    """What is learnt from another run's denoiser; subclasses say what.

    Attributes:
        teacher: the folder of the teacher's run; the student starts from its weights by
            --init_from.
        weighting: of the error, a name in WEIGHTED.
        taught: the teacher's denoiser, while it trains.
    """

    TRAINS: ClassVar[str] = DENOISER
    SAME_PROCESS: ClassVar[bool] = True
    STARTS_FROM: ClassVar[str] = "its teacher"

    teacher: Path = ""
    weighting: Annotated[str, one_of(WEIGHTED)] = "truncated_snr"
    taught: Denoiser | None = dataclasses.field(default=None, metadata=DERIVED)

    def __post_init__(self) -> None:
        sections.check(self)

    def check(self, process: SDE) -> None:
        """Raise ValueError if there is no teacher."""
        if not self.teacher:
            raise ValueError(
                f"{type(self).__name__} has no teacher: give the folder of its run, in the field "
                "teacher of the section of this objective"
            )

    def check_teacher(self, taught: Objective, conditions: Collection[str]) -> None:
        """See Objective: a denoiser."""
        if not is_a(taught.TRAINS, DENOISER):
            raise ValueError(f"it is a {taught.TRAINS}: give the run of a denoiser")

    def given(self, teacher: Any) -> Self:
        """See Objective."""
        return dataclasses.replace(self, taught=teacher.denoise)

    def error(self, found: Prediction, target: Prediction) -> jax.Array:
        """The weighted mean of squares over an example, [batch]; the target is held fixed."""
        x0, eps = (
            jnp.mean((f - jax.lax.stop_gradient(t)).reshape(len(f), -1) ** 2, axis=1)
            for f, t in zip(found, target, strict=True)
        )
        return WEIGHTED[self.weighting](x0, eps)
