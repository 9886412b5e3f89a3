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
import functools
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from score_sde import keys, sections
from score_sde.composite import bound, evaluations
from score_sde.prediction import Denoiser
from score_sde.processes import SDE
from score_sde.samplers.correctors import CORRECTORS, NOISE_NORMS
from score_sde.samplers.grids import GRIDS, MOST_STEPS, TimeGrid
from score_sde.samplers.predictors import PREDICTORS
from score_sde.samplers.sample import NOISE, Sampler, Samples
from score_sde.samplers.update import Update
from score_sde.values import Positive, between, one_of

ORDERS = ("corrector_first", "predictor_first")
DENOISE_FINAL = ("mean", "tweedie", "none")


class State(NamedTuple):
    """Where it is.

    Attributes:
        x: state, [batch, *data].
        nfe: evaluations of a network until now, an integer [].
    """

    x: jax.Array
    nfe: jax.Array


class Plan(NamedTuple):
    """All that the loop needs of the SDE, for every step: [steps] each.

    Attributes:
        t: times.
        predict: the predictor's coefficients.
        alpha: squared coefficient of the forward step, for the size of the corrector's step.
        sigma: standard deviation of x_t given x_0.
    """

    t: np.ndarray
    predict: Update
    alpha: np.ndarray
    sigma: np.ndarray


@dataclasses.dataclass(frozen=True)
class PredictorCorrector(TimeGrid, Sampler):
    """The sampler (1) of the module; the noise of a step is a function of the key and its index.

    Attributes:
        predictor: a key of predictors.PREDICTORS.
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
            "none": the step with its noise, from which FID suffers though no eye can see it.
    """

    predictor: Annotated[str, one_of(PREDICTORS)] = "reverse_diffusion"
    corrector: Annotated[str, one_of(CORRECTORS)] = "langevin"
    steps: Annotated[int, between(1, MOST_STEPS)] = 1000
    grid: Annotated[str, one_of(GRIDS)] = "uniform"
    snr: Positive = 0.16
    corrector_steps: Annotated[int, between(1, MOST_STEPS)] = 1
    probability_flow: bool = False
    noise_norm: Annotated[str, one_of(NOISE_NORMS)] = "batch"
    order: Annotated[str, one_of(ORDERS)] = "corrector_first"
    denoise_final: Annotated[str, one_of(DENOISE_FINAL)] = "mean"

    def __post_init__(self):
        sections.check(self)
        if self.predictor == self.corrector == "none":
            raise ValueError("predictor and corrector are both 'none': nothing would be sampled")
        if self.predictor == "none" and (self.probability_flow or self.denoise_final == "tweedie"):
            raise ValueError(
                "probability_flow and denoise_final='tweedie' are of a predictor: choose one"
            )

    @property
    def nfe(self) -> int:
        """How often the denoiser is evaluated on a batch."""
        steps = len(self.times) or self.steps
        corrected = steps - (self.order == "predictor_first")
        predictions = 0 if self.predictor == "none" else steps
        return predictions + (0 if self.corrector == "none" else corrected * self.corrector_steps)

    def plan(self, sde: SDE) -> Plan:
        """The coefficients of every step, on the host in float64.

        Raises:
            ValueError: a step is too long for the SDE's discrete forward step to exist.
        """
        t = self.at(sde, self.steps)
        s = np.append(t[1:], 0.0)
        with np.errstate(invalid="ignore"):  # reported below, with what to do about it
            predict = PREDICTORS[self.predictor](sde, t, s, self.probability_flow)
            alpha = sde.ancestral(t, s)[0] ** 2 if self.corrector != "none" else np.ones_like(t)
        if not all(np.isfinite(coefficient).all() for coefficient in (*predict, alpha)):
            raise ValueError(
                f"{self.named} are too few for {sde}: "
                "a discrete forward step would have a negative variance"
            )
        if self.denoise_final == "tweedie":
            # (x + sigma^2 score) / alpha
            predict.a[-1] = 1 / sde.alpha(t[-1])
            predict.b[-1] = sde.sigma(t[-1]) ** 2 / sde.alpha(t[-1])
        if self.denoise_final != "none":
            predict.c[-1] = 0
        return Plan(t, predict, alpha, sde.sigma(t))

    def check(self, sde: SDE) -> None:
        """Raise ValueError if the steps are too few for the process."""
        self.plan(sde)

    @property
    def coupling(self) -> str:
        """What makes a sample depend on the others of its batch."""
        if self.corrector != "langevin":
            return ""
        norms = "norms of score and noise" if self.noise_norm == "batch" else "norm of the score"
        return f"langevin averages the {norms} over the batch, which sets its step size"

    def pieces(self, sde: SDE) -> int:
        """See Sampler."""
        return len(self.times) or self.steps

    def begin(
        self,
        key: jax.Array,
        sde: SDE,
        *,
        shape: tuple[int, ...] | None = None,
        x_init: jax.Array | None = None,
    ) -> State:
        """See Sampler; nothing is evaluated yet."""
        return State(super().begin(key, sde, shape=shape, x_init=x_init), jnp.array(0))

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
        denoise = bound(denoise, sde)
        plans = jax.tree.map(lambda leaf: jnp.asarray(leaf, state.x.dtype), self.plan(sde))
        key = keys.fold_in(key, NOISE)

        def score_and_noise(x: jax.Array, t: jax.Array, key: jax.Array):
            t = jnp.full(x.shape[:1], t)
            return denoise(x, t, cond).score(sde, t), keys.normal(key, x.shape, x.dtype)

        def correct(x: jax.Array, key: jax.Array, plan: Plan) -> jax.Array:
            def langevin_step(k: jax.Array, x: jax.Array) -> jax.Array:
                score, z = score_and_noise(x, plan.t, keys.fold_in(key, 1 + k))
                return CORRECTORS[self.corrector](
                    score,
                    z,
                    alpha=plan.alpha,
                    sigma=plan.sigma,
                    snr=self.snr,
                    noise_norm=self.noise_norm,
                )(x, score, z)

            if self.corrector == "none":
                return x
            return jax.lax.fori_loop(0, self.corrector_steps, langevin_step, x)

        def predict(x: jax.Array, key: jax.Array, plan: Plan) -> jax.Array:
            if self.predictor == "none":
                return x
            return plan.predict(x, *score_and_noise(x, plan.t, keys.fold_in(key, 0)))

        def step(number: jax.Array, state: State) -> State:
            x, key_of_step = state.x, keys.fold_in(key, number)
            plan = jax.tree.map(lambda leaf: leaf[number], plans)
            corrected = functools.partial(correct, key=key_of_step, plan=plan)
            if self.order == "predictor_first":  # there is no corrector at t_0
                x = jax.lax.cond(number > 0, corrected, lambda x: x, x)
            else:
                x = corrected(x)
            nfe = state.nfe + self._asked(number) * evaluations(denoise, plan.t)
            return State(predict(x, key_of_step, plan), nfe)

        return jax.lax.fori_loop(first, last, step, state)

    def finish(self, state: State) -> Samples:
        """See Sampler."""
        return Samples(*state)

    def _asked(self, number: jax.Array) -> jax.Array:
        """How often step `number` evaluates the denoiser."""
        corrected = (self.order == "corrector_first") | (number > 0)
        corrections = 0 if self.corrector == "none" else corrected * self.corrector_steps
        return (self.predictor != "none") + corrections
