r"""Guidance distillation: the student gives in one evaluation what guidance takes two for.

Meng et al. 2022 (arXiv 2210.03142), stage 1. The student is told the scale w of classifier-free
guidance among its conditions, and learns for all w of an interval the guided teacher

    D_u + w (D_c - D_u),                                                                     (1)

with D_c given the conditions and D_u given none; w = 1 for no guidance (theirs is w - 1). It is
sampled with config.guidance.name="distilled", which tells it config.guidance.scale.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping
from typing import ClassVar, Self

import jax
import jax.numpy as jnp

from score_sde.checks import present
from score_sde.objectives.base import Network, Objective
from score_sde.objectives.distillation import Distillation
from score_sde.objectives.times import draw_times, uniform_times
from score_sde.prediction import Denoiser, Prediction
from score_sde.processes import SDE, expand

SCALE = "guidance_scale"

Cond = Mapping[str, jax.Array] | None


@dataclasses.dataclass(frozen=True, eq=False)
class ToldScale:
    """The denoiser of a network that is told the scale of guidance: 1 where cond does not say.

    Attributes:
        TAKES_NULLS: as of prediction.Denoiser.
        denoise: of the network.
    """

    TAKES_NULLS: ClassVar[bool] = True

    denoise: Denoiser

    def __call__(self, x: jax.Array, t: jax.Array, cond: Cond = None) -> Prediction:
        """See prediction.Denoiser."""
        return self.denoise(x, t, {SCALE: jnp.ones(x.shape[:1], x.dtype), **(cond or {})})


@dataclasses.dataclass(frozen=True)
class GuidanceDistillation(Distillation):
    """Equation (1) of the module; see Distillation for the other options.

    Attributes:
        scale_min: the smallest scale, 1 for no guidance.
        scale_max: the largest; they are drawn uniformly.
        stratified: spread the times of a batch evenly; see times.draw_times.

    Raises:
        ValueError: an option is out of its range, or the interval is empty.
    """

    NUMBERS: ClassVar[tuple[str, ...]] = (SCALE,)

    scale_min: float = 1.0
    scale_max: float = 5.0
    stratified: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.scale_min > self.scale_max:
            raise ValueError(
                f"scale_min={self.scale_min:g} is above scale_max={self.scale_max:g}: swap them"
            )

    def model(
        self, network: Network, process: SDE, denoiser: Callable[[Network], Denoiser]
    ) -> ToldScale:
        """See Objective."""
        return ToldScale(denoiser(network))

    def held_out(self) -> Self:
        """With times that are spread evenly."""
        return dataclasses.replace(self, stratified=True)

    def check_teacher(self, taught: Objective, conditions: Collection[str]) -> None:
        """See Objective: it is told what there is to be guided to."""
        super().check_teacher(taught, conditions)
        if not conditions:
            raise ValueError("it is told no condition to be guided to")

    def target(self, x: jax.Array, t: jax.Array, w: jax.Array, cond: Cond) -> Prediction:
        """Equation (1).

        Args:
            x: states, [batch, *data].
            t: times, [batch].
            w: scales, [batch].
            cond: conditions.
        """
        taught = present("teacher", self.taught)
        told, free = taught(x, t, cond), taught(x, t, None)
        found: Prediction = jax.tree.map(lambda u, c: u + expand(w, x) * (c - u), free, told)
        return found

    def __call__(
        self, key: jax.Array, model: Denoiser, process: SDE, x0: jax.Array, cond: Cond = None
    ) -> jax.Array:
        """The loss of each example, [batch]; see Objective."""
        key_t, key_w, key_eps = jax.random.split(key, 3)
        t, _ = draw_times(key_t, process, len(x0), uniform_times(), self.stratified)
        w = jax.random.uniform(key_w, x0.shape[:1], x0.dtype, self.scale_min, self.scale_max)
        t = t.astype(x0.dtype)
        mean, std = process.marginal(x0, t)
        x = mean + expand(std, x0) * jax.random.normal(key_eps, x0.shape, x0.dtype)
        found = model(x, t, {**(cond or {}), SCALE: w})
        return self.error(found, self.target(x, t, w, cond))
