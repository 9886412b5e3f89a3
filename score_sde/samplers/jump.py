r"""Jumps of a flow map: one step to the data, or a few on the way there.

From each time t of the grid to the next, s, with the noise ratio u = sigma / alpha,

    x_m = jump(x_t, t, m),    u_m = sqrt(1 - eta^2) u_s,                                    (1)
    x_s = (alpha_s / alpha_m) x_m + alpha_s sqrt(u_s^2 - u_m^2) z,                           (2)

and from the last to the data, which m = 0 stands for. eta = 0 composes the jump with itself;
eta = 1 jumps to the data each time and adds the noise of s again, the multistep sampling of
consistency models (Song et al. 2023, arXiv 2303.01469, Algorithm 1); between them it is the
gamma-sampling of Kim et al. 2023 (arXiv 2310.02279, Algorithm 3).
"""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from score_sde import keys, sections
from score_sde.flow_map import FlowMap
from score_sde.processes import SDE
from score_sde.samplers.grids import GRIDS, MOST_STEPS, TimeGrid
from score_sde.samplers.points import Points
from score_sde.samplers.sample import NOISE, Sampler, Samples
from score_sde.subspace import WHOLE, Support, support_of
from score_sde.values import between, one_of


@dataclasses.dataclass(frozen=True)
class Jump(TimeGrid, Sampler):
    """Equations (1) and (2) of the module. It takes a flow map for its denoiser.

    Attributes:
        steps: jumps, each of one evaluation; `steps + 1` times of the grid, but for the last.
        grid: a key of GRIDS.
        eta: the share of the noise that is drawn anew in a step; None: 1 for a consistency model,
            which knows no other, and else 0.
    """

    JUMPS: ClassVar[bool] = True

    steps: Annotated[int, between(1, MOST_STEPS)] = 1
    grid: Annotated[str, one_of(GRIDS)] = "uniform"
    eta: Annotated[float, between(0, 1)] | None = None

    def __post_init__(self) -> None:
        sections.check(self)

    @property
    def only_composes(self) -> bool:
        """Whether it takes steps that end with noise of their own."""
        return self.eta not in (None, 1) and self._number > 1

    @property
    def _number(self) -> int:
        return len(self.times) or self.steps

    @property
    def coupling(self) -> str:
        """Nothing makes a sample depend on the others of its batch."""
        return ""

    def starts(self, sde: SDE) -> np.ndarray:
        """The times of the jumps in those of `sde`, float64 NumPy [steps].

        Raises:
            ValueError: the process cannot have them.
        """
        return self.at(sde, self._number + (not self.open))[: self._number]

    def check(self, sde: SDE) -> None:
        """See Sampler."""
        self.starts(sde)

    def pieces(self, sde: SDE) -> int:
        """See Sampler: the jumps."""
        return self._number

    def begins(self, sde: SDE) -> float:
        """See Sampler: the first time of the grid."""
        return float(self.starts(sde)[0])

    def begin(
        self,
        key: jax.Array,
        sde: SDE,
        *,
        shape: tuple[int, ...] | None = None,
        x_init: jax.Array | None = None,
        support: Support = WHOLE,
    ) -> Samples:
        """See Sampler; nothing is evaluated yet."""
        start = super().begin(key, sde, shape=shape, x_init=x_init, support=support)
        return Samples(start, jnp.array(0))

    def advance(  # type: ignore[override]  # it jumps, and so is for flow maps alone: `check`
        self,
        key: jax.Array,
        state: Samples,
        denoise: FlowMap,
        sde: SDE,
        first: int | jax.Array,
        last: int | jax.Array,
        cond: Any = None,
    ) -> Samples:
        """See Sampler.

        Raises:
            ValueError: `denoise` is no flow map, or one to the data alone and eta is below 1.
        """
        if not isinstance(denoise, FlowMap):
            raise ValueError(
                "the sampler jump takes a flow map (score_sde.flow_map), which a denoiser, or one "
                "that is guided or knows a part, is not: use dpmpp_2m"
            )
        if denoise.TO_DATA and self.only_composes:
            raise ValueError(
                "a consistency model jumps to the data alone: leave eta out, or give 1"
            )
        x, key, where = state.x, keys.fold_in(key, NOISE), support_of(denoise, cond)
        t, m, scale, noise = (jnp.asarray(part, x.dtype) for part in self._plan(sde, denoise))

        def step(i: jax.Array, x: jax.Array) -> jax.Array:
            x = denoise.jump(x, jnp.full(x.shape[:1], t[i]), jnp.full(x.shape[:1], m[i]), cond)
            z = where.project(keys.normal(keys.fold_in(key, i), x.shape, x.dtype))
            return scale[i] * x + noise[i] * z

        x = jax.lax.fori_loop(first, last, step, x)
        return Samples(x, state.nfe + jnp.asarray(last - first, jnp.result_type(state.nfe)))

    def finish(self, state: Samples) -> Samples:
        """See Sampler."""
        return state

    def _plan(self, sde: SDE, flow_map: FlowMap) -> tuple[np.ndarray, ...]:
        """t and m of equation (1), the factors of x_m and of z in (2); [steps] each."""
        eta = self.eta if self.eta is not None else float(flow_map.TO_DATA)
        t = self.starts(sde)
        s = Points.at(sde, t[1:])
        u = np.sqrt(1 - eta**2) * s.ratio
        m, scale = np.zeros_like(s.t), s.alpha
        if eta == 0:
            m, scale, u = s.t, np.ones_like(s.t), s.ratio
        elif eta < 1:
            middle = Points.at_ratio(sde, u)
            m, scale, u = middle.t, s.alpha / middle.alpha, middle.ratio
        noise = s.alpha * np.sqrt(np.maximum(s.ratio**2 - u**2, 0))
        return t, np.append(m, 0.0), np.append(scale, 1.0), np.append(noise, 0.0)
