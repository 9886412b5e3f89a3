r"""Improved consistency training: from nothing, on a grid of noise levels that becomes finer.

Song and Dhariwal 2023 (arXiv 2310.14189). After the share K'/K of training the number of steps
doubles, from s_0 to s_1,

    N(k) = min(s_0 2^floor(k / K'), s_1) + 1,    K' = floor(K / (log2(s_1 / s_0) + 1)),      (1)

the noise levels u_1 < ... < u_N of the process lie on Karras's grid with rho = 7, the pair (u_i,
u_{i+1}) is drawn with the probability that the log-normal distribution gives to between them, and
the loss is 1 / (u_{i+1} - u_i) times the pseudo-Huber distance of width 0.00054 sqrt(d).
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
from score_sde.objectives.times import check_end, check_times, log_normal_times
from score_sde.processes import SDE
from score_sde.sections import DERIVED
from score_sde.values import NotNegative, Positive, between

RHO = 7.0
Steps = Annotated[int, between(1, 2**17)]  # of more, float32 knows no probabilities


@dataclasses.dataclass(frozen=True)
class ICT(ConsistencyObjective):
    """Equation (1) of the module.

    Attributes:
        time_mean: of the log-normal distribution of sigma / alpha.
        time_std: of the same.
        first: s_0, steps at the beginning.
        last: s_1, steps at the end.
        width: of the pseudo-Huber distance, over the root of the numbers of an example.
        done: share of the training that is done, from 0 to 1, [].

    Raises:
        ValueError: the steps do not grow.
    """

    REFUSES: ClassVar[tuple[str, ...]] = ("x0",)

    time_mean: float = -1.1
    time_std: Positive = 2.0
    first: Steps = 10
    last: Steps = 1280
    width: NotNegative = 0.00054
    done: ArrayLike = dataclasses.field(default=0.0, metadata=DERIVED)

    def __post_init__(self) -> None:
        sections.check(self)
        if self.last < self.first:
            raise ValueError(f"last={self.last} steps are fewer than first={self.first}")

    def check(self, process: SDE) -> None:
        """Raise ValueError if the process has no largest level, or hardly any level is drawn."""
        check_end("the largest level of ict", process)
        check_times(log_normal_times(self.time_mean, self.time_std), process)

    def at(self, done: jax.Array) -> Self:
        """See Objective: with the steps of that share."""
        return dataclasses.replace(self, done=done)

    def held_out(self) -> Self:
        """With the steps of the end."""
        return dataclasses.replace(self, done=1.0)

    def steps(self) -> jax.Array:
        """N - 1 of equation (1), [], float."""
        doublings = jnp.floor(self.done * (math.log2(self.last / self.first) + 1))
        return jnp.minimum(self.first * 2.0**doublings, self.last)

    def level(self, sde: SDE, index: jax.Array) -> jax.Array:
        """u of the index from 0 to `steps`, on Karras's grid of `sde`; shape of index."""
        ends = ratio(sde, jnp.asarray([sde.t_min, sde.t_max], index.dtype))
        low, high = ends ** (1 / RHO)
        u: jax.Array = (low + index / self.steps() * (high - low)) ** RHO
        return u

    def _below(self, sde: SDE, index: jax.Array) -> jax.Array:
        """Of the log-normal distribution, what is below a level; shape of index."""
        z = (jnp.log(self.level(sde, index)) - self.time_mean) / self.time_std
        return jax.scipy.special.ndtr(z)

    def probabilities(self, sde: SDE, indices: jax.Array) -> jax.Array:
        """Of the pairs of levels of `sde` that begin at these indices, [n]; 0 from the last on."""
        there = indices < self.steps()
        p = self._below(sde, indices + 1) - self._below(sde, indices)
        p = jnp.where(there, p, 0)
        return p / p.sum()

    def __call__(
        self,
        key: jax.Array,
        model: FlowMap,
        process: SDE,
        x0: jax.Array,
        cond: Mapping[str, jax.Array] | None = None,
    ) -> jax.Array:
        """The loss of each example, [batch]; see Objective."""
        key_i, key_eps = jax.random.split(key)
        indices = jnp.arange(self.last, dtype=x0.dtype)
        p = self.probabilities(process, indices)
        i = jax.random.choice(key_i, indices, x0.shape[:1], p=p)
        low, high = (self.level(process, index) for index in (i, i + 1))
        r, t = (time_at_ratio(process, u) for u in (low, high))
        squared = ends_apart(key_eps, model, process, x0, cond, t, r)
        width = self.width * math.sqrt(math.prod(x0.shape[1:]))
        return pseudo_huber(squared, width) / (high - low)
