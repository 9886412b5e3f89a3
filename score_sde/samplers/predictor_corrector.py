"""Predictor-corrector sampling (Song et al. 2021, arXiv 2011.13456, Section 4.2, Appendix G).

With times t_0 = t_max > ... > t_{N-1} = t_min and t_N = 0, the data, step i corrects x at t_i by
Langevin steps and then predicts from t_i to t_{i+1}:

    C(t_0) P(t_0 -> t_1)  C(t_1) P(t_1 -> t_2)  ...  C(t_{N-1}) P(t_{N-1} -> 0).              (1)

The published code runs (1), and the published numbers come from it. The paper's Algorithm 1 opens
with the predictor; its correctors see the same times except for t_0, so it is (1) without C(t_0).
(The corrector which that listing ends with would need the score of the data themselves.)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Annotated, Any, NamedTuple, Self

import jax
import jax.numpy as jnp
import numpy as np

from score_sde import keys, sections
from score_sde.checks import present
from score_sde.composite import bound, evaluations
from score_sde.prediction import Denoiser
from score_sde.processes import SDE
from score_sde.samplers.correctors import CORRECTORS, NOISE_NORMS
from score_sde.samplers.fixed_step import FixedStep
from score_sde.samplers.grids import GRIDS, MOST_STEPS, TimeGrid
from score_sde.samplers.loop import State, noise_of_rows, run
from score_sde.samplers.predictors import PREDICTORS
from score_sde.samplers.sample import NOISE
from score_sde.samplers.solvers import SOLVERS
from score_sde.samplers.table import EPS, Table
from score_sde.samplers.tabular import TabularSampler
from score_sde.subspace import Support, support_of
from score_sde.values import LARGEST_FLOAT, Positive, between, one_of

ORDERS = ("corrector_first", "predictor_first")
DENOISE_FINAL = ("mean", "tweedie", "none")


class Plan(NamedTuple):
    """All that the loop needs of the SDE; [R] each, R the number of rows of the table.

    Attributes:
        table: of the predictor; "none" follows none of its rows.
        corrects: whether the corrector is before a row.
        alpha: squared coefficient of the forward step, for the size of the corrector's step.
        sigma: standard deviation of x_t given x_0.
    """

    table: Table
    corrects: np.ndarray
    alpha: np.ndarray
    sigma: np.ndarray

    @property
    def t(self) -> np.ndarray:
        """Times."""
        return self.table.t


@dataclasses.dataclass(frozen=True)
class PredictorCorrector(TimeGrid, TabularSampler):
    """The sampler (1) of the module; the noise of a step is a function of the key and its index.

    Attributes:
        predictor: a key of predictors.PREDICTORS, or a solver with the options that it has by
            itself; there is no corrector between the stages of its steps.
        corrector: a key of correctors.CORRECTORS.
        steps: number N of times.
        snr: the corrector's signal-to-noise ratio r; the paper's best are 0.16 (VE) and 0.01 (VP).
        corrector_steps: Langevin steps at each time.
        grid: a key of grids.GRIDS. "uniform" serves every process whose t runs over [0, 1]; EDM,
            for which it would spend nearly all of its steps at high noise, needs "karras".
        probability_flow: let the predictor follow the probability-flow ODE, without noise:
            euler_maruyama and reverse_diffusion halve the score, ancestral becomes DDIM.
        noise_norm: a key of correctors.NOISE_NORMS.
        order: "corrector_first", as published code and numbers; "predictor_first", Algorithm 1.
        denoise_final: what the last predictor step, from t_min to the data, returns. "mean": its
            mean without noise, as the published code; "tweedie": E[x_0 | x] by Tweedie's formula;
            "none": the step with its noise, from which FID suffers though no eye can see it. A
            solver gives E[x_0 | x] for both, and for "none" x at t_min, with one time more.
    """

    predictor: Annotated[str, one_of(PREDICTORS, SOLVERS)] = "reverse_diffusion"
    corrector: Annotated[str, one_of(CORRECTORS)] = "langevin"
    steps: Annotated[int, between(1, MOST_STEPS)] = 1000
    grid: Annotated[str, one_of(GRIDS)] = "uniform"
    snr: Positive = 0.16
    corrector_steps: Annotated[int, between(1, MOST_STEPS)] = 1
    probability_flow: bool = False
    noise_norm: Annotated[str, one_of(NOISE_NORMS)] = "batch"
    order: Annotated[str, one_of(ORDERS)] = "corrector_first"
    denoise_final: Annotated[str, one_of(DENOISE_FINAL)] = "mean"

    def __post_init__(self) -> None:
        sections.check(self)
        if self.predictor == self.corrector == "none":
            raise ValueError("predictor and corrector are both 'none': nothing would be sampled")
        if self.predictor == "none" and (self.probability_flow or self.denoise_final == "tweedie"):
            raise ValueError(
                "probability_flow and denoise_final='tweedie' are of a predictor: choose one"
            )
        if self.predictor in SOLVERS and self.probability_flow:
            raise ValueError(
                f"probability_flow is not of {self.predictor}, which has noise or not by itself"
            )

    def plan(self, sde: SDE) -> Plan:
        """The coefficients of every row for a process `sde`, on the host in float64.

        Raises:
            ValueError: a step is too long for the SDE's discrete forward step to exist, or for the
                solver that is the predictor.
        """
        table = self._predictor(sde)
        corrects = ~table.inner & (self.corrector != "none")
        if self.order == "predictor_first":  # there is no corrector at t_0
            corrects[0] = False
        t = table.t
        with np.errstate(invalid="ignore"):  # reported here
            alpha = np.asarray(sde.ancestral(t, self._next(sde, table))[0] ** 2)
        self._check_finite(sde, alpha[corrects])
        return Plan(table, corrects, alpha, np.asarray(sde.sigma(t)))

    def table(self, sde: SDE) -> Table:
        """See TabularSampler: the predictor's, once the corrector has its coefficients too."""
        return self.plan(sde).table

    def later(self, sde: SDE, share: float) -> Self:
        """See Sampler."""
        if self.predictor in SOLVERS:
            found = self._solver().later(sde, share)
            return dataclasses.replace(self, times=found.times)
        return self.cut(self.at(sde, self.steps), self.steps, share)

    def _predictor(self, sde: SDE) -> Table:
        """The predictor's table."""
        if self.predictor in SOLVERS:
            return self._solver().table(sde)
        t = self.at(sde, self.steps)
        with np.errstate(invalid="ignore", divide="ignore"):  # reported here
            update = PREDICTORS[self.predictor](
                sde, t, np.append(t[1:], 0.0), self.probability_flow
            )
        a, b, c = (np.asarray(coefficients) for coefficients in update)
        self._check_finite(sde, a, b, c)
        if self.denoise_final == "tweedie":
            # (x + sigma^2 score) / alpha
            with np.errstate(divide="ignore"):  # reported here
                a[-1] = 1 / sde.alpha(t[-1])
                b[-1] = sde.sigma(t[-1]) ** 2 / sde.alpha(t[-1])
            self._check_finite(sde, a, b, c)
        if self.denoise_final != "none":
            c[-1] = 0
        of_eps = np.asarray(-b / sde.sigma(t))  # score = -eps / sigma
        return Table(EPS, t, a[:, None], of_eps[:, None], c, np.zeros(len(t), bool))

    def _solver(self) -> FixedStep:
        """The solver that is the predictor, with the options of this sampler."""
        grid = {field.name: getattr(self, field.name) for field in dataclasses.fields(TimeGrid)}
        final = "none" if self.denoise_final == "none" else "tweedie"
        return SOLVERS[self.predictor](**grid, denoise_final=final)

    def _next(self, sde: SDE, table: Table) -> np.ndarray:
        """Where the step of each row leads: to the next row that begins one; 0 for the data."""
        end = 0.0
        if self.predictor in SOLVERS and self.denoise_final == "none":
            end = self.with_end(sde, self.steps)[-1]
        following = np.append(table.t[1:], end)
        for row in np.flatnonzero(np.append(table.inner[1:], False))[::-1]:
            following[row] = following[row + 1]
        earlier: np.ndarray = np.minimum(following, table.t)
        return earlier  # a restart leads back to more noise: no step

    def _check_finite(self, sde: SDE, *coefficients: np.ndarray) -> None:
        if not all((np.abs(part) <= LARGEST_FLOAT).all() for part in coefficients):
            if not sde.alpha(np.asarray(sde.t_max)):
                raise ValueError(
                    f"the predictor {self.predictor} has no step from the end of {sde}, where no "
                    "signal is left: use a smaller t_max, or a solver such as ddim"
                )
            raise ValueError(
                f"{self.named} are too few for {sde}: "
                "a discrete forward step would have a negative variance"
            )

    @property
    def coupling(self) -> str:
        """What makes a sample depend on the others of its batch."""
        if self.corrector != "langevin":
            return ""
        norms = "norms of score and noise" if self.noise_norm == "batch" else "norm of the score"
        return f"langevin averages the {norms} over the batch, which sets its step size"

    def advance(
        self,
        key: jax.Array,
        state: State,
        denoise: Denoiser,
        sde: SDE,
        first: int | jax.Array,
        last: int | jax.Array,
        cond: Any = None,
    ) -> State:
        """See Sampler.

        Raises:
            ValueError: too few steps for the SDE.
        """
        denoise, plan, x = bound(denoise, sde), self.plan(sde), state.states[0]
        where = support_of(denoise, cond)
        correct = self._correction(key, plan, denoise, sde, x, where, cond)
        if self.predictor == "none":
            corrected: State = jax.lax.fori_loop(first, last, correct, state)
            return corrected
        none = self.predictor in SOLVERS and plan.table.deterministic
        noise = None if none else noise_of_rows(key, x, where)
        return run(plan.table, state, denoise, noise, first, last, cond, correct)

    def follows_flow(self, sde: SDE) -> bool:
        """See Sampler: correctors draw noise too."""
        return self.corrector == "none" and super().follows_flow(sde)

    def _correction(
        self,
        key: jax.Array,
        plan: Plan,
        denoise: Denoiser,
        sde: SDE,
        like: jax.Array,
        where: Support,
        cond: Any,
    ) -> Callable[[jax.Array, State], State] | None:
        """(row, the state before it) -> the same, corrected if it is to be; None for "none"."""
        if self.corrector == "none":
            return None
        key = keys.fold_in(key, NOISE)
        ts, alphas, sigmas = (
            jnp.asarray(part, like.dtype) for part in (plan.t, plan.alpha, plan.sigma)
        )
        corrects = jnp.asarray(plan.corrects)

        corrector = present("corrector", CORRECTORS[self.corrector])

        def correct(row: jax.Array, state: State) -> State:
            of_row, t = keys.fold_in(key, row), jnp.full(like.shape[:1], ts[row])

            def langevin_step(k: jax.Array, x: jax.Array) -> jax.Array:
                score = denoise(x, t, cond).score(sde, t)
                own = keys.fold_in(of_row, 1 + k)
                z = where.project(keys.normal(own, x.shape, x.dtype))
                return corrector(
                    score,
                    z,
                    alpha=alphas[row],
                    sigma=sigmas[row],
                    snr=self.snr,
                    noise_norm=self.noise_norm,
                    dimension=where.dimension(x),
                )(x, score, z)

            x = jax.lax.fori_loop(0, self.corrector_steps, langevin_step, state.states[0])
            nfe = state.nfe + self.corrector_steps * evaluations(denoise, ts[row])
            return State((x, *state.states[1:]), state.predictions, nfe)

        return lambda row, state: jax.lax.cond(
            corrects[row], correct, lambda row, state: state, row, state
        )
