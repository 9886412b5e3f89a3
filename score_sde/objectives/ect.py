r"""Easy consistency tuning: a diffusion model becomes a consistency model step by step.

Geng et al. 2024 (arXiv 2406.14548). Of a noise level u with log u ~ N(mean, std^2) the other is

    r = u max(0, 1 - (1 + k sigmoid(-b u)) / q^(stage + 1)),                                 (1)

so that at stage 0 it is 0 for most, where the loss is that of denoising, and as the stage grows
r comes to u. The loss is 1 / (u - r) times the pseudo-Huber distance of width c.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Annotated, ClassVar, Self

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from score_sde import sections
from score_sde.flow_map import FlowMap
from score_sde.objectives.consistency import (
    ConsistencyObjective,
    ends_apart,
    pseudo_huber,
    ratio,
    time_at_ratio,
)
from score_sde.objectives.times import check_times, draw_times, log_normal_times
from score_sde.processes import SDE
from score_sde.sections import DERIVED
from score_sde.values import Count, NotNegative, Positive, above

_CLOSEST = 20  # binary digits, of 24 in a float32


@dataclasses.dataclass(frozen=True)
class ECT(ConsistencyObjective):
    """Equation (1) of the module; start it from a denoiser's weights by --init_from.

    Attributes:
        time_mean: mean of log(sigma / alpha).
        time_std: its standard deviation.
        q: factor by which a stage brings r closer to u; at most 2^20 in all stages, beyond which
            no float32 would tell them apart.
        k: how much further apart they are at low noise.
        b: of equation (1).
        stages: how many there are, in equal parts of the training.
        width: c, of the pseudo-Huber distance; 0 for the distance itself.
        stratified: spread the times of a batch evenly; see times.draw_times.
        done: share of the training that is done, from 0 to 1, [].

    Raises:
        ValueError: an option is out of its range, or all stages together are.
    """

    STARTS_FROM: ClassVar[str] = "a denoiser"

    time_mean: float = -1.1
    time_std: Positive = 2.0
    q: Annotated[float, above(1)] = 2.0
    k: NotNegative = 8.0
    b: Positive = 1.0
    stages: Count = 8
    width: NotNegative = 0.0
    stratified: bool = False
    done: ArrayLike = dataclasses.field(default=0.0, metadata=DERIVED)

    def __post_init__(self) -> None:
        sections.check(self)
        if self.stages * math.log2(self.q) > _CLOSEST:
            raise ValueError(
                f"q={self.q:g} to the power of stages={self.stages} is above 2^{_CLOSEST}: the two "
                "levels would be one, and nothing learnt. Give fewer stages or a smaller q"
            )

    def check(self, process: SDE) -> None:
        """Raise ValueError if the times are not of the process."""
        check_times(log_normal_times(self.time_mean, self.time_std), process)

    def at(self, done: jax.Array) -> Self:
        """See Objective: in the stage of that share."""
        return dataclasses.replace(self, done=done)

    def held_out(self) -> Self:
        """In the last stage, with times that are spread evenly."""
        return dataclasses.replace(self, done=1.0, stratified=True)

    def closer(self, u: jax.Array) -> jax.Array:
        """r of equation (1), in the stage there is; shape of u."""
        stage = jnp.clip(jnp.floor(self.stages * self.done), 0, self.stages - 1)
        apart = (1 + self.k * jax.nn.sigmoid(-self.b * u)) / self.q ** (stage + 1)
        return u * jnp.maximum(0, 1 - apart.astype(u.dtype))

    def __call__(
        self,
        key: jax.Array,
        model: FlowMap,
        process: SDE,
        x0: jax.Array,
        cond: Mapping[str, jax.Array] | None = None,
    ) -> jax.Array:
        """The loss of each example, [batch]; see Objective."""
        key_t, key_eps = jax.random.split(key)
        times = log_normal_times(self.time_mean, self.time_std)
        t = draw_times(key_t, process, len(x0), times, self.stratified)[0].astype(x0.dtype)
        u = ratio(process, t)
        low = self.closer(u)
        # Below t_min there is no network to ask: the data are the end.
        low = jnp.where(low > ratio(process, jnp.asarray(process.t_min, u.dtype)), low, 0)
        r = jnp.where(low > 0, time_at_ratio(process, jnp.where(low > 0, low, u)), 0)
        squared = ends_apart(key_eps, model, process, x0, cond, t, r)
        return pseudo_huber(squared, self.width) / (u - low)
