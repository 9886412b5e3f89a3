"""The probability-flow ODE, solved with an adaptive step.

    dx/dt = alpha' x0(x, t) + sigma' eps(x, t)      from t_max to t_min,

the velocity of the Prediction (Song et al. 2021, arXiv 2011.13456, equation 13 and Appendix D).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Annotated, Any

import jax
import jax.numpy as jnp

from score_sde import sections
from score_sde.composite import bound, evaluations, pieces
from score_sde.prediction import Denoiser
from score_sde.processes import SDE
from score_sde.samplers.sample import Sampler, Samples
from score_sde.subspace import WHOLE, Support
from score_sde.values import Count, Positive, one_of

DENOISE_FINAL = ("none", "tweedie")


def probability_flow(
    denoise: Denoiser, sde: SDE, cond: Any = None
) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """The right-hand side (t [], x [batch, *data]) -> dx/dt, of the shape and dtype of x."""

    def velocity(t: jax.Array, x: jax.Array) -> jax.Array:
        t = jnp.full(x.shape[:1], t, x.dtype)
        return denoise(x, t, cond).velocity(sde, t)

    return velocity


def solved(
    denoise: Denoiser,
    sde: SDE,
    rate: Callable[[Denoiser], Callable[[jax.Array, Any], Any]],
    state: Any,
    *,
    reverse: bool = False,
    rtol: float,
    atol: float,
    max_steps: int,
) -> tuple[Any, jax.Array]:
    """Solve an equation that a denoiser makes, between its switches: it is smooth in each piece.

    Args:
        denoise: the denoiser.
        sde: the process.
        rate: makes of the denoiser of a piece the right-hand side (t [], state) -> d state / dt.
        state: at t_min, an array or a pytree of arrays.
        reverse: begin at t_max, where `state` is then, and go to t_min.
        rtol: relative tolerance of each piece; see dopri5.solve.
        atol: absolute tolerance; likewise.
        max_steps: most steps of each; likewise.

    Returns:
        The state at the other end, and the evaluations of a network in each piece, [pieces].

    Raises:
        RuntimeError: as dopri5.solve.
    """
    from score_sde.samplers.dopri5 import solve  # diffrax: not at `import score_sde`

    counts, parts = [], pieces(denoise, sde)
    for piece, low, high in parts[::-1] if reverse else parts:
        begin, end = (high, low) if reverse else (low, high)
        state, number = solve(
            rate(piece), state, begin, end, rtol=rtol, atol=atol, max_steps=max_steps
        )
        counts.append(number * evaluations(piece, low))
    return state, jnp.stack(counts)


@dataclasses.dataclass(frozen=True)
class RK45(Sampler):
    """Dormand and Prince's fifth-order Runge-Kutta pair, by diffrax.

    The only randomness is the draw from the prior. Its state is Samples; the solver, which chooses
    its steps, goes from t_max to t_min in one piece.

    The whole batch is one state with one step size: a sample depends, within the tolerance, on the
    others of its batch, and the error is controlled in the root mean square over all of it.

    Attributes:
        rtol: relative tolerance of a step.
        atol: absolute tolerance of a step, in units of x.
        max_steps: of the solver, rejected ones included; where guidance ends or begins at some
            time, of each part.
        denoise_final: "none": return x at t_min; "tweedie": E[x_0 | x] there, one more evaluation,
            in place of which the published code takes the mean of one reverse-diffusion step.
    """

    rtol: Positive = 1e-5
    atol: Positive = 1e-5
    max_steps: Count = 4096
    denoise_final: Annotated[str, one_of(DENOISE_FINAL)] = "none"

    def __post_init__(self) -> None:
        sections.check(self)

    def check(self, sde: SDE) -> None:
        """Every process will do."""

    @property
    def coupling(self) -> str:
        """What makes a sample depend on the others of its batch."""
        return "rk45 has one step size for the batch: samples differ within its tolerances"

    def pieces(self, sde: SDE) -> int:
        """See Sampler."""
        return 1

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

    def advance(
        self,
        key: jax.Array,
        state: Samples,
        denoise: Denoiser,
        sde: SDE,
        first: int | jax.Array,
        last: int | jax.Array,
        cond: Any = None,
    ) -> Samples:
        """See Sampler; the one piece there is. nfe is an integer array: the solver chooses it.

        Raises:
            RuntimeError: max_steps were not enough (or the denoiser gave a NaN); under jit too.
        """
        denoise = bound(denoise, sde)
        x, counts = solved(
            denoise,
            sde,
            lambda piece: probability_flow(piece, sde, cond),
            state.x,
            reverse=True,
            rtol=self.rtol,
            atol=self.atol,
            max_steps=self.max_steps,
        )
        nfe = counts.sum()
        if self.denoise_final == "tweedie":
            t_min = jnp.asarray(sde.t_min, x.dtype)
            nfe = nfe + evaluations(denoise, t_min)
            x = denoise(x, jnp.full(x.shape[:1], t_min), cond).x0
        return Samples(x, nfe)

    def finish(self, state: Samples) -> Samples:
        """See Sampler."""
        return state
