r"""Shortcut models: a jump is two jumps of half its length.

Frans et al. 2024 (arXiv 2410.12557). For most examples the loss is flow matching, which teaches the
map its slope at s = t. For the others a length d = 2^-k is drawn and a time t of its multiples, and
the average velocity from t to t - d is regressed to that of two jumps of the model itself,

    (x_t - jump(jump(x_t, t, t - d/2), t - d/2, t - d)) / d,                                 (1)

held fixed. The smallest d is made of two steps along the slope. The paper's targets are those of a
moving average of the weights; here they are those of the weights themselves.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Self

import jax
import jax.numpy as jnp

from score_sde import sections
from score_sde.flow_map import FlowMap
from score_sde.objectives.flow_maps import StraightFlowMap
from score_sde.objectives.frozen import frozen
from score_sde.objectives.times import draw_times, uniform_times
from score_sde.prediction import Prediction
from score_sde.processes import SDE, expand
from score_sde.values import between


@dataclasses.dataclass(frozen=True)
class Shortcut(StraightFlowMap):
    """Equation (1) of the module, and flow matching.

    Attributes:
        share: of the examples, that learn equation (1).
        doublings: of the length of a step along the slope, 2^-doublings, to that of the path.
        stratified: spread the times of flow matching evenly; see times.draw_times.
    """

    share: Annotated[float, between(0, 1)] = 0.25
    doublings: Annotated[int, between(1, 20)] = 7
    stratified: bool = False

    def __post_init__(self) -> None:
        sections.check(self)

    def held_out(self) -> Self:
        """With times that are spread evenly."""
        return dataclasses.replace(self, stratified=True)

    def lengths(self, key: jax.Array, sde: SDE, batch: int) -> tuple[jax.Array, jax.Array]:
        """t and d of equation (1), within the times of the process, [batch] each.

        Args:
            key: JAX random key.
            sde: the process.
            batch: how many.
        """
        key_d, key_t = jax.random.split(key)
        d = 2.0 ** -jax.random.randint(key_d, (batch,), 0, self.doublings)
        whole = jnp.floor(jax.random.uniform(key_t, (batch,)) / d)
        return jnp.minimum(sde.t_max, (whole + 1) * d), d

    def __call__(
        self,
        key: jax.Array,
        model: FlowMap,
        process: SDE,
        x0: jax.Array,
        cond: Mapping[str, jax.Array] | None = None,
    ) -> jax.Array:
        """The loss of each example, [batch]; see Objective."""
        key_t, key_d, key_share, key_eps = jax.random.split(key, 4)
        jumps = jax.random.uniform(key_share, x0.shape[:1]) < self.share
        t, _ = draw_times(key_t, process, len(x0), uniform_times(), self.stratified)
        end, d = self.lengths(key_d, process, len(x0))
        t = jnp.where(jumps, end, t).astype(x0.dtype)
        d = jnp.where(jumps, jnp.minimum(d, end), 0).astype(x0.dtype)
        eps = jax.random.normal(key_eps, x0.shape, x0.dtype)
        mean, std = process.marginal(x0, t)
        x = mean + expand(std, x0) * eps

        def velocity(x: jax.Array, t: jax.Array, s: jax.Array) -> jax.Array:
            return model.average(x, t, s, cond).velocity(process, t)

        def half(x: jax.Array, t: jax.Array, h: jax.Array) -> jax.Array:
            return velocity(x, t, t - jnp.where(h > 2.0**-self.doublings, h, 0))

        def of_two(x: jax.Array, t: jax.Array, d: jax.Array) -> jax.Array:
            first = half(x, t, d / 2)
            second = half(x - expand(d / 2, x) * first, t - d / 2, d / 2)
            return (first + second) / 2

        target = jnp.where(
            expand(jumps, x), frozen(of_two, x, t, d), Prediction(x0, eps).velocity(process, t)
        )
        error = velocity(x, t, t - d) - target
        return jnp.mean(error.reshape(len(x0), -1) ** 2, axis=1)
