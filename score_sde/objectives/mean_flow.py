r"""MeanFlow: the average velocity of straight paths, from its own derivative along them.

Geng et al. 2025 (arXiv 2505.13447). The average velocity u(x, t, s) from x at t to s,
jump(x, t, s) = x - (t - s) u, satisfies along each path

    u = v - (t - s) d/dt u,    d/dt u = (d/dx u) v + d/dt u,                                 (1)

with v the velocity at (x, t). The loss holds the right side fixed, takes the velocity eps - x_0 of
one example and noise for v, and the derivative in forward mode:

    L = w | u(x_t, t, s) - sg(v - (t - s) d/dt u) |^2,    w = 1 / (sg |.|^2 + c)^p.          (2)

With guidance inside the target, v is replaced by

    omega v + kappa u(x_t, t, t | cond) + (1 - omega - kappa) u(x_t, t, t)                   (3)

(equation 19 there), so that one evaluation gives what guidance of the scale omega / (1 - kappa)
gives with two. A model that drops conditions in training learns with u(x_t, t, t) its own guided
velocity of no condition, which is that of no condition.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Annotated, Any, Self

import jax
import jax.numpy as jnp

from score_sde import sections
from score_sde.flow_map import FlowMap
from score_sde.objectives.flow_maps import StraightFlowMap
from score_sde.objectives.frozen import frozen
from score_sde.objectives.times import check_times, draw_times, logit_normal_times
from score_sde.prediction import Prediction
from score_sde.processes import SDE, expand
from score_sde.values import Positive, Range, between


@dataclasses.dataclass(frozen=True)
class MeanFlow(StraightFlowMap):
    """Equation (2) of the module; s = t for most examples, where it is flow matching.

    Attributes:
        share: of the examples, whose s is below t.
        time_mean: of the logit-normal distribution of both times.
        time_std: of the same.
        power: p; 0 for the square itself.
        offset: c.
        guidance: omega; 1 with mix = 0 for none.
        mix: kappa, the share of the model's own conditional velocity.
        stratified: spread the times of a batch evenly; see times.draw_times.
    """

    share: Annotated[float, between(0, 1)] = 0.25
    time_mean: float = -0.4
    time_std: Positive = 1.0
    power: Annotated[float, between(0, 4)] = 1.0
    offset: Positive = 1e-3
    guidance: Positive = 1.0
    mix: Annotated[float, Range(0, 1, open_high=True)] = 0.0
    stratified: bool = False

    def __post_init__(self) -> None:
        sections.check(self)

    def check(self, process: SDE) -> None:
        """Raise ValueError if the paths are not straight, or the times not of the process."""
        super().check(process)
        check_times(logit_normal_times(self.time_mean, self.time_std), process)

    def check_conditions(self, told: Mapping[str, tuple[str, float]]) -> None:
        """Raise ValueError if guidance has no model without conditions to compare with."""
        guides = self.guidance != 1 or self.mix
        if guides and not any(dropout for _, dropout in told.values()):
            raise ValueError(
                f"guidance={self.guidance:g} and mix={self.mix:g} compare with the model that is "
                "told nothing: give config.conditions.fields, and their dropout"
            )

    def held_out(self) -> Self:
        """Unweighted (the weight leaves little of the loss), with times that are spread evenly."""
        return dataclasses.replace(self, power=0.0, stratified=True)

    def times(self, key: jax.Array, sde: SDE, batch: int) -> tuple[jax.Array, jax.Array]:
        """t and s <= t of a batch, [batch] each.

        Args:
            key: JAX random key.
            sde: the process, whose times they are.
            batch: how many.
        """
        drawn = logit_normal_times(self.time_mean, self.time_std)
        one, other, key_share, key_order = jax.random.split(key, 4)
        a, b = (draw_times(k, sde, batch, drawn, self.stratified)[0] for k in (one, other))
        b = jax.random.permutation(key_order, b)  # each is spread evenly, and not beside the other
        apart = jax.random.uniform(key_share, (batch,)) < self.share
        t = jnp.maximum(a, b)
        return t, jnp.where(apart, jnp.minimum(a, b), t)

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
        t, s = (time.astype(x0.dtype) for time in self.times(key_t, process, len(x0)))
        eps = jax.random.normal(key_eps, x0.shape, x0.dtype)
        mean, std = process.marginal(x0, t)
        x = mean + expand(std, x0) * eps

        def average(x: jax.Array, t: jax.Array, s: jax.Array, cond: Any = cond) -> jax.Array:
            return model.average(x, t, s, cond).velocity(process, t)

        def target(x: jax.Array, t: jax.Array, s: jax.Array, v: jax.Array) -> jax.Array:
            if self.guidance != 1 or self.mix:
                free = 1 - self.guidance - self.mix
                v = self.guidance * v + free * average(x, t, t, None)
                v = v + self.mix * average(x, t, t) if self.mix else v
            _, change = jax.jvp(lambda x, t: average(x, t, s), (x, t), (v, jnp.ones_like(t)))
            found: jax.Array = v - expand(t - s, x) * change
            return found

        v = Prediction(x0, eps).velocity(process, t)
        error = average(x, t, s) - frozen(target, x, t, s, v)
        squared = jnp.sum(error.reshape(len(x0), -1) ** 2, axis=1)
        return squared / (jax.lax.stop_gradient(squared) + self.offset) ** self.power
