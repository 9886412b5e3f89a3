r"""Progressive distillation: one step of the student is two of its teacher.

Salimans and Ho 2022 (arXiv 2202.00512, Algorithm 2). Of N equal steps in t from t_max to t_min one
is drawn, from t to s with m halfway. DDIM with the teacher takes x_t to x_m and on to x_s, and the
student is to get there at once: its target is the pair of which both are states,

    x_t = alpha_t x0 + sigma_t eps,    x_s = alpha_s x0 + sigma_s eps,                       (1)

    x0 = (sigma_t x_s - sigma_s x_t) / D,    eps = (alpha_s x_t - alpha_t x_s) / D,
    D = alpha_s sigma_t - alpha_t sigma_s.

The student then teaches another of N / 2 steps. It is a denoiser for DDIM on these N steps alone.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Collection, Mapping
from typing import Annotated, Any, Self

import jax
import jax.numpy as jnp

from score_sde.checks import present
from score_sde.objectives.base import Objective
from score_sde.objectives.distillation import Distillation
from score_sde.prediction import Denoiser, Prediction
from score_sde.processes import SDE, expand
from score_sde.values import between

Cond = Mapping[str, jax.Array] | None


@dataclasses.dataclass(frozen=True)
class Progressive(Distillation):
    """Equation (1) of the module; see Distillation for the other options.

    Attributes:
        steps: N; a teacher that is such a student has 2 N.
        stratified: spread the steps evenly over a batch.

    Raises:
        ValueError: an option is out of its range.
    """

    steps: Annotated[int, between(1, 4096)] = 16  # of more, float32 knows no target
    stratified: bool = False

    @property
    def sampling(self) -> Mapping[str, Any]:
        """N steps of ddim, of which the last is the end."""
        final = {"grid": "uniform", "denoise_final": "none"}
        return {"sampler": "ddim", "steps": self.steps, **final}

    def held_out(self) -> Self:
        """With steps that are spread evenly."""
        return dataclasses.replace(self, stratified=True)

    def check_teacher(self, taught: Objective, conditions: Collection[str]) -> None:
        """See Objective: a student as a teacher has twice the steps."""
        super().check_teacher(taught, conditions)
        if isinstance(taught, Progressive) and taught.steps != 2 * self.steps:
            raise ValueError(
                f"it is a student of steps={taught.steps}, and teaches one of "
                f"steps={taught.steps // 2}, not {self.steps}"
            )

    def times(self, key: jax.Array, sde: SDE, batch: int) -> tuple[jax.Array, jax.Array, jax.Array]:
        """t, m and s of a batch, [batch] each.

        Args:
            key: JAX random key.
            sde: the process, whose times they are.
            batch: how many.
        """
        if self.stratified:
            u = (jax.random.uniform(key) + jnp.arange(batch) / batch) % 1.0
        else:
            u = jax.random.uniform(key, (batch,))
        left = jnp.minimum(jnp.floor(u * self.steps), self.steps - 1)  # steps after this one
        span = (sde.t_max - sde.t_min) / self.steps
        first, middle, last = (sde.t_min + (left + share) * span for share in (1.0, 0.5, 0.0))
        return first, middle, last

    def target(
        self, sde: SDE, x: jax.Array, times: tuple[jax.Array, ...], cond: Cond
    ) -> Prediction:
        """The pair of equation (1).

        Args:
            sde: the process.
            x: states at t, [batch, *data].
            times: t, m and s, [batch] each.
            cond: conditions, or None.
        """
        t, _, s = times
        end = x
        for now, then in itertools.pairwise(times):
            pair = present("teacher", self.taught)(end, now, cond)
            end = expand(sde.alpha(then), x) * pair.x0 + expand(sde.sigma(then), x) * pair.eps
        (alpha_t, sigma_t), (alpha_s, sigma_s) = (
            (expand(sde.alpha(time), x), expand(sde.sigma(time), x)) for time in (t, s)
        )
        determinant = alpha_s * sigma_t - alpha_t * sigma_s
        return Prediction(
            (sigma_t * end - sigma_s * x) / determinant, (alpha_s * x - alpha_t * end) / determinant
        )

    def __call__(
        self,
        key: jax.Array,
        model: Denoiser,
        process: SDE,
        x0: jax.Array,
        cond: Cond = None,
    ) -> jax.Array:
        """The loss of each example, [batch]; see Objective."""
        key_t, key_eps = jax.random.split(key)
        times = tuple(time.astype(x0.dtype) for time in self.times(key_t, process, len(x0)))
        mean, std = process.marginal(x0, times[0])
        x = mean + expand(std, x0) * jax.random.normal(key_eps, x0.shape, x0.dtype)
        return self.error(model(x, times[0], cond), self.target(process, x, times, cond))
