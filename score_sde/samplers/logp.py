r"""log p of samples, had while they are drawn: one more coordinate of the state.

Along the ODEs of the frames (2) and (3) of table.py, in y = x / c over u, the density that flows
with y changes by  d log p_y / du = -tr(dD / dy) = -c tr(dD / dx),  where D is x0, c = sigma and
u = alpha / sigma, or D is eps, c = alpha and u = sigma / alpha. That is the equation of y itself,
dy/du = D, for one more coordinate whose D is -c tr(dD / dx). So

    L = c (log p_y - log p_y at the start)                                                    (1)

obeys the rows of the table as x = c y does: no quadrature of its own, and the order of the solver.
In the end, with d the dimension of x and pi the prior, at the first time of the grid,

    log p(x) = log pi(x_first) + d log(c_first / c_last) + L / c_last.                        (2)
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np

from score_sde import keys
from score_sde.composite import Composite, bound
from score_sde.divergence import Divergence
from score_sde.prediction import Denoiser, Prediction
from score_sde.processes import SDE
from score_sde.samplers.fixed_step import FixedStep
from score_sde.samplers.loop import State, before, run
from score_sde.samplers.points import Points
from score_sde.samplers.sample import Sampler
from score_sde.samplers.table import EPS, X0
from score_sde.samplers.threshold import thresholded
from score_sde.subspace import WHOLE, Support, lies_in

PROBES = 2  # the sampler's key is folded with it; see sample.PRIOR
SCALES = {X0: "sigma", EPS: "alpha"}  # c, by what D is


def with_logp(sampler: Sampler, **options: Any) -> WithLogp:
    """A sampler that draws what the given one does, and returns log p of each sample beside it.

    p is the density of what the probability-flow ODE makes of the prior, at t_min. For growing
    `steps` logp converges to log p(x) with the order of the solver, and at most with order 2 if its
    first step is of order 1, as that of every multistep solver: of that x forgets the error, and
    log p does not (on EDM's grid, where little happens at first, it does not show).

        sampler = with_logp(samplers.get("dpmpp_2m", denoise_final="none"))
        out = sampler(key, denoise, sde, shape=(64, 32, 32, 3))
        out.x, out.logp, out.nfe

    Args:
        sampler: one with fixed steps and no noise, which stops at t_min: denoise_final="none".
        **options: of score_sde.divergence.Divergence: divergence, "hutchinson" by default or
            "exact", probes, probe and chunk.

    Returns:
        A sampler, whose samples are SamplesWithLogp. The denoiser is called under `jax.vmap` with a
        batch of one, as by `log_likelihood`.

    Raises:
        ValueError: the sampler or an option cannot work. That it adds noise is said by its `check`.
    """
    if not isinstance(sampler, FixedStep):
        raise ValueError(
            f"log p while sampling is for solvers with fixed steps, not {type(sampler).__name__}: "
            "use one, dpmpp_2m for example, or log_likelihood of its samples"
        )
    if sampler.denoise_final != "none":
        raise ValueError(
            "log p while sampling is of x at t_min: give the sampler denoise_final='none', for "
            "E[x_0 | x] has no density of its own"
        )
    return WithLogp(sampler, Divergence(**options))


class SamplesWithLogp(NamedTuple):
    """Samples and their log-densities.

    Attributes:
        x: samples, [batch, *data].
        nfe: evaluations of a network for each image; each comes with as many Jacobian-vector
            products as there are probes (or dimensions, if exact).
        logp: log p(x), nats, [batch].
    """

    x: jax.Array
    nfe: int | jax.Array
    logp: jax.Array


class StateWithLogp(NamedTuple):
    """Where the sampler is.

    Attributes:
        table: its states are pairs (x, L / c_last), equation (1).
        start: the first two terms of equation (2), [batch].
    """

    table: State
    start: jax.Array


@dataclasses.dataclass(frozen=True)
class WithLogp(Sampler):
    """A solver that returns the log-densities of its samples too; see `with_logp`.

    Attributes:
        sampler: the solver.
        divergence: how the traces are had.
    """

    sampler: FixedStep
    divergence: Divergence

    def check(self, sde: SDE) -> None:
        """See Sampler."""
        if not self.sampler.table(sde).deterministic:
            raise ValueError(
                f"{type(self.sampler).__name__} adds noise, so that its samples have no density "
                "that flows: log p is for solvers without noise, eta=0 for example"
            )

    @property
    def coupling(self) -> str:
        """See Sampler."""
        return self.sampler.coupling

    def pieces(self, sde: SDE) -> int:
        """See Sampler."""
        return self.sampler.pieces(sde)

    def begin(
        self,
        key: jax.Array,
        sde: SDE,
        *,
        shape: tuple[int, ...] | None = None,
        x_init: jax.Array | None = None,
        support: Support = WHOLE,
    ) -> StateWithLogp:
        """See Sampler.

        Raises:
            ValueError: as a call, and if the solver adds noise.
        """
        self.check(sde)
        begun = self.sampler.begin(key, sde, shape=shape, x_init=x_init, support=support)
        x = begun.states[0]
        points, d = self.sampler.grid_points(sde), support.dimension(x)
        c = getattr(points, SCALES[self.sampler.PREDICTS])
        # The prior stands for x at t_max, and for less of it where the grid begins later.
        shrunk = points.sigma[0] / Points.at(sde, sde.t_max).sigma
        start = sde.prior_logp(x / shrunk, d) + d * float(np.log(c[0] / c[-1] / shrunk))
        pair = (x, jnp.zeros(len(x), x.dtype))
        return StateWithLogp(before(self.sampler.table(sde), pair), start)

    def advance(
        self,
        key: jax.Array,
        state: StateWithLogp,
        denoise: Denoiser,
        sde: SDE,
        first: int | jax.Array,
        last: int | jax.Array,
        cond: Any = None,
    ) -> StateWithLogp:
        """See Sampler."""
        solver, key = self.sampler, keys.fold_in(key, PROBES)
        if not keys.is_vector(key):
            key = keys.of_examples(key, jnp.arange(len(state.start)))
        denoise = thresholded(denoise, solver.clip, solver.threshold)
        end = solver.grid_points(sde)[-1]
        traced = bound(
            # The loop takes a pair as it takes a state: it computes with trees of arrays.
            cast(Denoiser, Traced(denoise, solver.PREDICTS, sde, self.divergence, key, end)),
            sde,
        )
        table = run(solver.table(sde), state.table, traced, None, first, last, cond)
        return state._replace(table=table)

    def finish(  # type: ignore[override]  # samples, with one field more than Samples has
        self, state: StateWithLogp
    ) -> SamplesWithLogp:
        """See Sampler."""
        x, integral = state.table.states[0]
        return SamplesWithLogp(x, state.table.nfe, state.start + integral)


@dataclasses.dataclass(frozen=True, eq=False)
class Traced(Composite):
    """Predictions of pairs (x, L / c_last), equation (1).

    Attributes:
        predicts: what D is, X0 or EPS.
        sde: the process.
        divergence: how the trace is had.
        keys: of the examples, [batch].
        end: the point where the trajectory ends.
    """

    predicts: str
    sde: SDE
    divergence: Divergence
    keys: jax.Array
    end: Points

    def __call__(  # type: ignore[override]  # a pair in the place of a state
        self, x: tuple[jax.Array, jax.Array], t: jax.Array, cond: Any = None
    ) -> Prediction:
        """At a time that all examples share: only the part of it that D is, a pair as x."""
        now = t[:1]  # of all: a guidance that is off at some times stays a branch under vmap

        def one(key: jax.Array, x: jax.Array, cond: Any) -> tuple[jax.Array, jax.Array]:
            cond = jax.tree.map(lambda a: a[None], cond)

            def predicted(x: jax.Array) -> jax.Array:
                found: jax.Array = getattr(self.denoise(x[None], now, cond), self.predicts)
                return found[0]

            def project(e: jax.Array) -> jax.Array:
                return lies_in(self.denoise).project(e[None], cond)[0]

            return self.divergence.trace(key, x, project)(predicted, x)

        d, trace = jax.vmap(one)(self.keys, x[0], cond)
        scale = SCALES[self.predicts]
        shrunk = getattr(self.sde, scale)(now) / getattr(self.end, scale)
        pair = cast(jax.Array, (d, -shrunk * trace))
        nothing = cast(jax.Array, None)
        return Prediction(nothing, nothing)._replace(**{self.predicts: pair})
