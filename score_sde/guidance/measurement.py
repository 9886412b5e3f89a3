"""A linear observation with noise, y = H x_0 + s m with m ~ N(0, I), and what is solved with it."""

from __future__ import annotations

import dataclasses
from numbers import Real

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from score_sde import values
from score_sde.guidance import conjugate
from score_sde.guidance.operators import Operator
from score_sde.processes import expand
from score_sde.values import Count


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Measurement:
    """What is known of the data. A pytree; it works under `jax.jit` and on a batch that is split.

    Attributes:
        operator: H.
        y: what was observed, such that it broadcasts to [batch, *observed].
        noise: s, at least 0.
        iterations: of conjugate gradients, where the operator's `gram` is not known.
    """

    operator: Operator
    y: ArrayLike
    noise: float = dataclasses.field(default=0.0, metadata={"static": True})
    iterations: int = dataclasses.field(default=30, metadata={"static": True})

    def __post_init__(self) -> None:
        if not isinstance(self.noise, Real) or not 0 <= self.noise < float("inf"):
            raise ValueError(f"noise={self.noise!r}: a standard deviation is at least 0")
        values.check("iterations", self.iterations, Count)

    def rest(self, x: jax.Array) -> jax.Array:
        """What is not explained, y - H x, [batch, *observed], of states x, [batch, *data]."""
        return jnp.asarray(self.y, x.dtype) - self.operator.forward(x)

    def back(self, v: jax.Array, like: jax.Array) -> jax.Array:
        """H^T v, [batch, *data] like the states `like`, of v, [batch, *observed]."""
        return self.operator.transpose(v, like)

    def solved(
        self,
        v: jax.Array,
        variance: ArrayLike,
        like: jax.Array,
        left: ArrayLike | None = None,
    ) -> jax.Array:
        """H^T (r^2 H H^T + n^2 I)^-1 v, [batch, *data].

        Args:
            v: [batch, *observed].
            variance: r^2, [] or [batch].
            like: states, [batch, *data], whose values do not matter.
            left: n^2, []; s^2 if None.
        """
        variance = jnp.asarray(variance, v.dtype)
        gram = self.operator.gram
        left = jnp.asarray(self.noise**2 if left is None else left, v.dtype)
        if gram is not None:
            return self.back(v / expand(variance * gram + left, v), like)

        def apply(u: jax.Array) -> jax.Array:
            observed = self.operator.forward(self.back(u, like))
            return expand(variance, u) * observed + left * u

        return self.back(conjugate.solved(apply, v, self.iterations), like)
