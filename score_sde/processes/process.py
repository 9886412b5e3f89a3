"""What every forward process has, whatever its states are."""

from __future__ import annotations

from typing import Any, ClassVar

import jax
from jax.typing import ArrayLike

from score_sde import sections
from score_sde.fields import NUMBERS


class Process:
    """From the data, at time 0, to what knows nothing of them. Subclasses are frozen dataclasses.

    Attributes:
        STATES: what its states are, fields.NUMBERS or fields.TOKENS; what draws, trains or is
            drawn has to be of the same.
        t_min: the smallest time that samplers and losses reach.
        t_max: the time at which the process has forgotten the data.
        scales: for a discrete sequence (processes.sequences) its number of noise levels, else None.
        straight: whether alpha = 1 - t and sigma = t, so that paths of given ends are straight.
    """

    STATES: ClassVar[str] = NUMBERS

    t_min: float
    t_max: float
    scales: int | None = None
    straight: ClassVar[bool] = False

    @property
    def parameters(self) -> dict[str, Any]:
        """What it is, for a record: plain values by name."""
        return {name: getattr(self, name) for name in sections.entries(type(self))}

    def alpha(self, t: ArrayLike) -> jax.Array:
        """How much of the data is left at time t; shape of t."""
        raise NotImplementedError

    def sigma(self, t: ArrayLike) -> jax.Array:
        """How much has come in their place; shape of t."""
        raise NotImplementedError

    def check_ends(self) -> None:
        """Raise ValueError if it cannot be computed with at an end of its times."""
