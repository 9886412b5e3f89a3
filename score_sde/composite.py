"""Denoisers that are made of others: guidance, thresholds, observations.

A composite is called as any denoiser is. Beyond that it says what those that evaluate it over time,
samplers and likelihoods, have to know and a function cannot say: which process it is asked about,
how many evaluations of a network one of its own costs, at which times what it does changes, and
where its states lie. A plain function costs one evaluation and never changes, and its states may
be anything.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Mapping
from typing import ClassVar, Self

import jax
from jax.typing import ArrayLike

from score_sde.prediction import Denoiser, Prediction, with_variance
from score_sde.processes import SDE
from score_sde.sections import DERIVED
from score_sde.subspace import Subspace, lies_in


@dataclasses.dataclass(frozen=True, eq=False)
class Composite:
    """A denoiser that asks others. Subclasses are frozen dataclasses and define `__call__`.

    They may hold arrays: two are equal, as two functions are, if they are one and the same.

    Attributes:
        denoise: the denoiser it is made of; a subclass with more names all of them in DENOISERS.
    """

    DENOISERS: ClassVar[tuple[str, ...]] = ("denoise",)

    denoise: Denoiser = dataclasses.field(metadata=DERIVED)

    def __call__(
        self, x: jax.Array, t: jax.Array, cond: Mapping[str, jax.Array] | None = None
    ) -> Prediction:
        """Predict the data and the noise in x at time t; see prediction.Denoiser."""
        raise NotImplementedError

    def with_variance(
        self, x: jax.Array, t: jax.Array, cond: Mapping[str, jax.Array] | None = None
    ) -> tuple[Prediction, jax.Array]:
        """The prediction, and the variance that the first of the denoisers has learnt.

        Written as a second evaluation of that; a compiler that sees the same twice makes it once.
        """
        return self(x, t, cond), with_variance(self._denoisers()[0], x, t, cond)[1]

    def bound(self, sde: SDE) -> Self:
        """The same for a process: what it is made of knows the process too."""
        return self._each(lambda denoise: bound(denoise, sde))

    def evaluations(self, t: ArrayLike) -> ArrayLike:
        """How many evaluations of a network a call at time t [] costs, for each image."""
        return sum(evaluations(denoise, t) for denoise in self._denoisers())

    def switches(self) -> tuple[float, ...]:
        """The times at which what it does changes from one thing to another."""
        return tuple(time for denoise in self._denoisers() for time in switches(denoise))

    def within(self, low: float, high: float) -> Denoiser:
        """What it does at all times between two, none of its switches between them."""
        return self._each(lambda denoise: within(denoise, low, high))

    def lies_in(self) -> Subspace:
        """Where its states lie: where those of the first of the denoisers do."""
        return lies_in(self._denoisers()[0])

    def _denoisers(self) -> list[Denoiser]:
        return [getattr(self, name) for name in self.DENOISERS]

    def _each(self, change: Callable[[Denoiser], Denoiser]) -> Self:
        changed = {name: change(getattr(self, name)) for name in self.DENOISERS}
        return dataclasses.replace(self, **changed)


def bound(denoise: Denoiser, sde: SDE) -> Denoiser:
    """A denoiser that knows the process which it is asked about."""
    return denoise.bound(sde) if isinstance(denoise, Composite) else denoise


def evaluations(denoise: Denoiser, t: ArrayLike) -> ArrayLike:
    """How many evaluations of a network a denoiser makes at time t [], for each image."""
    return denoise.evaluations(t) if isinstance(denoise, Composite) else 1


def switches(denoise: Denoiser) -> tuple[float, ...]:
    """The times at which what a denoiser does changes from one thing to another."""
    return denoise.switches() if isinstance(denoise, Composite) else ()


def within(denoise: Denoiser, low: float, high: float) -> Denoiser:
    """What a denoiser does at all times between two, none of its switches between them."""
    return denoise.within(low, high) if isinstance(denoise, Composite) else denoise


def pieces(denoise: Denoiser, sde: SDE) -> list[tuple[Denoiser, float, float]]:
    """What a denoiser does from t_min to t_max, cut where it changes.

    Args:
        denoise: the denoiser; it learns of the process.
        sde: the process.

    Returns:
        (denoiser, from, to) of each piece, in rising time; a piece has no switches inside.
    """
    denoise = bound(denoise, sde)
    times = [sde.t_min, *sorted(set(switches(denoise))), sde.t_max]
    return [(within(denoise, low, high), low, high) for low, high in itertools.pairwise(times)]
