r"""What guidance by two predictions has in common: how far to go, and at which noise levels.

Of a state x at time t one prediction D_1 is wanted and another D_0 is to be left behind: that of no
condition, or of a weaker model. A rule combines them, in the plainest case to

    D = D_0 + w (D_1 - D_0),                                                                (1)

which is D_1 for the scale w = 1. Where sigma / alpha is not in the interval, D_1 alone is taken and
D_0 is not evaluated (Kynkäänniemi et al. 2024, arXiv 2404.07724, Section 3).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from score_sde import sections
from score_sde.composite import Composite, evaluations
from score_sde.guidance.pairs import X0, extrapolated, rescaled
from score_sde.prediction import Denoiser, Prediction
from score_sde.processes import SDE, expand
from score_sde.sections import DERIVED
from score_sde.values import LARGEST_FLOAT, NotNegative, Range

Interval = tuple[float, float]

# The denoiser of a rule that is options alone, until `of` gives it one.
NOBODY = cast(Denoiser, None)


@dataclasses.dataclass(frozen=True, eq=False)
class Rule(Composite):
    """A rule; without a denoiser, None, it is the options of one, which `of` gives a denoiser.

    Attributes:
        ASKS: which denoiser is asked for D_0, by the name of its field.
        NEEDS_CONDITION: whether there is nothing to guide to without a condition.
        NEEDS_WEAK: whether it asks a weaker model, its field `weak`.
        TELLS: what it tells the model beside its conditions, by name; empty for nothing.
        scale: how far to go, w: 0 to the model asked to be left, 1 to that asked for (no
            guidance), above 1 beyond it.
        interval: (low, high) of sigma / alpha, ends included, where it guides; () for everywhere.
        sde: the process, of which it learns by `bound`; only an interval needs it.
    """

    ASKS: ClassVar[str] = "denoise"
    NEEDS_CONDITION: ClassVar[bool] = True
    NEEDS_WEAK: ClassVar[bool] = False
    TELLS: ClassVar[str] = ""

    scale: float = 1.0
    interval: tuple[NotNegative, ...] = ()
    sde: SDE | None = dataclasses.field(default=None, metadata=DERIVED)

    def __post_init__(self) -> None:
        if isinstance(self.scale, jax.Array):  # an argument of a compiled function, made of one
            return  # that was checked
        sections.check(self)
        if len(self.interval) not in (0, 2):
            raise ValueError(f"interval={self.interval}: give (low, high) of sigma / alpha, or ()")
        if len(self.interval) == 2 and self.interval[0] > self.interval[1]:
            low, high = self.interval
            raise ValueError(f"interval=({low:g}, {high:g}) ends before it begins: swap them")

    def both(
        self, x: jax.Array, t: jax.Array, cond: Mapping[str, jax.Array] | None
    ) -> tuple[Prediction, Prediction]:
        """D_1 and D_0; arguments as of a denoiser."""
        raise NotImplementedError

    def combine(self, wanted: Prediction, other: Prediction) -> Prediction:
        """D, of D_1 (wanted) and D_0 (other)."""
        raise NotImplementedError

    @property
    def idle(self) -> bool:
        """Whether it changes nothing: the scale is 1, or the interval is empty."""
        return self.scale == 1 or (len(self.interval) == 2 and self.interval[0] == self.interval[1])

    @property
    def of_numbers(self) -> bool:
        """Whether predictions have to be pairs (x0, eps): log-probabilities of tokens are none."""
        return False

    def of(self, denoise: Denoiser, **others: Denoiser) -> Denoiser:
        """The rule for a denoiser, or the denoiser itself if it changes nothing.

        Args:
            denoise: what it guides.
            **others: the other denoisers that it asks, by the names of their fields.
        """
        if self.idle:
            return denoise
        # A whole number would be of another type under jit, and compiled anew.
        fields: dict[str, Any] = {"denoise": denoise, "scale": float(self.scale), **others}
        return dataclasses.replace(self, **fields)

    def __call__(
        self, x: jax.Array, t: jax.Array, cond: Mapping[str, jax.Array] | None = None
    ) -> Prediction:
        """See Composite. Times of a batch may differ; if all are outside, D_1 is all there is."""
        return self.guided(x, t, cond)[1]

    def guided(
        self, x: jax.Array, t: jax.Array, cond: Mapping[str, jax.Array] | None
    ) -> tuple[Prediction, Prediction]:
        """D_1, and what is made of it; arguments as of a denoiser."""
        if not self.interval:
            wanted, other = self.both(x, t, cond)
            return wanted, self.combine(wanted, other)
        inside = jnp.broadcast_to(self._inside(t), x.shape[:1])

        def within() -> tuple[Prediction, Prediction]:
            wanted, other = self.both(x, t, cond)
            combined = self.combine(wanted, other)
            return wanted, jax.tree.map(
                lambda g, d: jnp.where(expand(inside, g), g, d), combined, wanted
            )

        def alone() -> tuple[Prediction, Prediction]:
            wanted = self.denoise(x, t, cond)
            return wanted, wanted

        found: tuple[Prediction, Prediction] = jax.lax.cond(jnp.any(inside), within, alone)
        return found

    def bound(self, sde: SDE) -> Rule:
        """See Composite."""
        return dataclasses.replace(super().bound(sde), sde=sde)

    def evaluations(self, t: ArrayLike) -> ArrayLike:
        """See Composite: those of D_1, and inside the interval those of D_0."""
        wanted = evaluations(self.denoise, t)
        other = evaluations(getattr(self, self.ASKS), t)
        return wanted + (jnp.where(self._inside(t), other, 0) if self.interval else other)

    def switches(self) -> tuple[float, ...]:
        """See Composite: the ends of the interval, where the process passes them."""
        return (*super().switches(), *self._ends())

    def within(self, low: float, high: float) -> Denoiser:
        """See Composite: guidance everywhere, or none at all."""
        piece = cast(Rule, super().within(low, high))  # what it is of a piece of time
        if not self.interval:
            return piece
        inside = bool(self._inside(np.float64((low + high) / 2)))
        return dataclasses.replace(piece, interval=()) if inside else piece.denoise

    def _inside(self, t: ArrayLike) -> jax.Array:
        """Where sigma / alpha is in the interval; shape of t."""
        low, high = self.interval
        sde = self._process()
        ratio = sde.sigma(t) / sde.alpha(t)
        return (low <= ratio) & ((ratio <= high) | (high >= LARGEST_FLOAT))

    def _process(self) -> SDE:
        """The process, of which an interval speaks."""
        if self.sde is None:
            raise ValueError(
                "guidance in an interval of sigma / alpha must know the process: samplers and "
                "likelihoods tell it, and composite.bound(denoise, sde) does"
            )
        return self.sde

    def _ends(self) -> list[float]:
        if not self.interval:
            return []
        sde, found = self._process(), []
        with np.errstate(divide="ignore"):
            least, most = (float(sde.sigma(t) / sde.alpha(t)) for t in _ends_of(sde))
        for ratio in self.interval:
            if least < ratio < most:
                found.append(float(sde.time_at_log_snr(np.float64(-2 * math.log(ratio)))))
        return found


@dataclasses.dataclass(frozen=True, eq=False)
class Extrapolation(Rule):
    """Equation (1), and what keeps its contrast in bounds.

    Attributes:
        rescale: phi, the share of the guided data that has its standard deviation set to that of
            D_1 (Lin et al. 2023, arXiv 2305.08891, Section 3.4); 0 for none.
        rescales: what is rescaled so, a key of pairs.RESCALED: the data, "x0", or what a network
            says that predicts something else, as released pipelines do, "eps" or "v".
    """

    rescale: Annotated[float, Range(0, 1)] = 0.0
    rescales: str = dataclasses.field(default=X0, metadata=DERIVED)

    @property
    def of_numbers(self) -> bool:
        """See Rule: what is rescaled is x0 or eps."""
        return self.rescale > 0

    def combine(self, wanted: Prediction, other: Prediction) -> Prediction:
        """See Rule."""
        guided = extrapolated(wanted, other, self.scale)
        if not self.rescale:
            return guided
        return rescaled(guided, wanted, other, self.rescale, self.rescales)


def ends(interval: Interval | None) -> tuple[float, ...]:
    """An interval as a rule has it; an end that is infinite becomes the largest number."""
    if interval is None:
        return ()
    try:
        return tuple(min(float(end), LARGEST_FLOAT) for end in interval)
    except (TypeError, ValueError) as error:
        raise ValueError(f"interval={interval!r}: give (low, high) of sigma / alpha") from error


def _ends_of(sde: SDE) -> np.ndarray:
    return np.array([sde.t_min, sde.t_max], np.float64)
