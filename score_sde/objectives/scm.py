r"""Continuous-time consistency models, simplified and stable: sCM.

Lu and Song 2024 (arXiv 2410.11081). For any process theta = arctan(sigma / (alpha sigma_d)) and

    y = sigma_d x / sqrt(alpha^2 sigma_d^2 + sigma^2) = cos(theta) x_0 + sin(theta) sigma_d eps  (1)

are those of TrigFlow, and f = cos(theta) y - sin(theta) sigma_d F gives F. The loss moves F along
the tangent, the derivative of f along the path of one example and noise,

    L = | F - sg(F + g / (|g| + c)) |^2 / d,    g = cos(theta) (df/dtheta) / sigma_d,        (2)

    df/dtheta = -cos(theta) (sigma_d F - dy/dtheta) - r sin(theta) (y + sigma_d dF/dtheta),  (3)

where r rises from 0 to 1 in the first part of the training. The learned weight of their loss is not
here: the normalisation in (2) makes the gradients of all times alike.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Annotated, ClassVar, Self

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from score_sde import sections
from score_sde.flow_map import FlowMap
from score_sde.objectives.consistency import ConsistencyObjective
from score_sde.objectives.frozen import frozen
from score_sde.objectives.times import check_times, draw_times, log_normal_times
from score_sde.prediction import Prediction
from score_sde.processes import SDE, expand
from score_sde.sections import DERIVED
from score_sde.values import Positive, between


@dataclasses.dataclass(frozen=True)
class SCM(ConsistencyObjective):
    """Equation (2) of the module.

    Attributes:
        time_mean: mean of log(sigma / alpha).
        time_std: its standard deviation.
        offset: c.
        warmup: share of the training in which r rises to 1.
        stratified: spread the times of a batch evenly; see times.draw_times.
        sigma_data: standard deviation of the data.
        done: share of the training that is done, from 0 to 1, [].
    """

    REFUSES: ClassVar[tuple[str, ...]] = ("x0",)

    time_mean: float = -1.0
    time_std: Positive = 1.4
    offset: Positive = 0.1
    warmup: Annotated[float, between(0, 1)] = 0.1
    stratified: bool = False
    sigma_data: float = dataclasses.field(default=0.5, metadata=DERIVED)
    done: ArrayLike = dataclasses.field(default=1.0, metadata=DERIVED)

    def __post_init__(self) -> None:
        sections.check(self)

    def check(self, process: SDE) -> None:
        """Raise ValueError if the times are not of the process."""
        check_times(log_normal_times(self.time_mean, self.time_std), process)

    def at(self, done: jax.Array) -> Self:
        """See Objective."""
        return dataclasses.replace(self, done=done)

    def held_out(self) -> Self:
        """With times that are spread evenly."""
        return dataclasses.replace(self, stratified=True)

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
        eps = jax.random.normal(key_eps, x0.shape, x0.dtype)
        mean, std = process.marginal(x0, t)
        x = mean + expand(std, x0) * eps

        def end(x: jax.Array, t: jax.Array) -> jax.Array:
            return model.jump(x, t, jnp.zeros_like(t), cond)

        def tangent(x: jax.Array, t: jax.Array, slope: jax.Array) -> tuple[jax.Array, jax.Array]:
            """F, and g of equation (2)."""
            f, change = jax.jvp(end, (x, t), (slope, jnp.ones_like(t)))
            theta, rate = jax.jvp(lambda t: self._angle(process, t), (t,), (jnp.ones_like(t),))
            cos, sin = expand(jnp.cos(theta), x), expand(jnp.sin(theta), x)
            output = self._output(process, x, t, f)
            along = cos * self.sigma_data * eps - sin * x0  # dy/dtheta
            still = -cos * (self.sigma_data * output - along)
            r = jnp.minimum(1, self.done / self.warmup) if self.warmup else 1
            g = cos / self.sigma_data * (still + r * (change / expand(rate, x) - still))
            norm = jnp.sqrt(jnp.sum(g.reshape(len(g), -1) ** 2, axis=1))
            return output, g / (expand(norm, x) + self.offset)

        slope = Prediction(x0, eps).velocity(process, t)
        output, g = frozen(tangent, x, t, slope)
        error = self._output(process, x, t, end(x, t)) - output - g
        return jnp.mean(error.reshape(len(x0), -1) ** 2, axis=1)

    def _angle(self, sde: SDE, t: jax.Array) -> jax.Array:
        """theta; shape of t."""
        return jnp.arctan2(sde.sigma(t), sde.alpha(t) * self.sigma_data)

    def _output(self, sde: SDE, x: jax.Array, t: jax.Array, f: jax.Array) -> jax.Array:
        """F of f = cos(theta) y - sin(theta) sigma_d F."""
        alpha, sigma = expand(sde.alpha(t), x), expand(sde.sigma(t), x)
        root = jnp.sqrt((alpha * self.sigma_data) ** 2 + sigma**2)
        cos, sin = alpha * self.sigma_data / root, sigma / root
        return (cos * self.sigma_data * x / root - f) / (sin * self.sigma_data)
