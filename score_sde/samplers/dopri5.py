"""An adaptive solve by diffrax that knows how often it evaluated the right-hand side.

It calls the host: to tell how far it is, and for the error of a solve that failed. JAX keeps no
program that does in its persistent cache, so what solves is compiled by every command.

Import this module where it is used: `import score_sde` must not import diffrax.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import diffrax
import equinox
import equinox.internal
import jax
import jax.numpy as jnp

from score_sde.errors import NOT_SOLVED
from score_sde.samplers import underway

State = TypeVar("State")  # an array, or a pytree of arrays


class _Dopri5(diffrax.Dopri5):
    """Dormand and Prince's pair, whose last stage is the next step's first, evaluated once at t0.

    diffrax's own evaluates the first stage inside the first step, and again each time that this
    step is rejected, which its statistics do not count.
    """

    def init(self, terms, t0, t1, y0, args):
        """(evaluate the first stage?, the first stage)."""
        return jnp.array(False), terms.vf(t0, y0, args)


class _Told(diffrax.AbstractProgressMeter):
    """Tells whoever listens what share of the time is covered; of a batch of solves, the least."""

    def init(self) -> None:
        """Before the first step, so that nobody takes compilation for a part of it."""
        jax.debug.callback(underway.tell, 0.0)

    def step(self, state: None, progress: jax.Array) -> None:
        """After each step."""
        jax.debug.callback(underway.tell, -equinox.internal.unvmap_max(-progress))

    def close(self, state: None) -> None:
        """Nothing is left to tell."""


def solve(
    velocity: Callable[[jax.Array, State], State],
    x: State,
    t0: float,
    t1: float,
    *,
    rtol: float,
    atol: float,
    max_steps: int,
) -> tuple[State, jax.Array]:
    """Solve dx/dt = velocity(t, x) from t0 to t1, forwards or backwards.

    Under `jax.vmap` each state has steps of its own, and the loop runs until all are done.

    Args:
        velocity: (t [], x) -> dx/dt of the shape and dtype of x.
        x: the state at t0, an array of any shape or a pytree of arrays; time has its dtype.
        t0: where to start.
        t1: where to end.
        rtol: relative tolerance of a step.
        atol: absolute tolerance of a step, in units of x; the error is a root mean square over x.
        max_steps: rejected ones included.

    Returns:
        The state at t1 and the number of evaluations of `velocity`, an integer array [].

    Raises:
        RuntimeError: max_steps were not enough, or a NaN appeared; under `jax.jit` too.
    """
    dtype = jnp.result_type(*jax.tree.leaves(x))
    t0, t1 = jnp.asarray(t0, dtype), jnp.asarray(t1, dtype)
    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(lambda t, x, args: velocity(t, x)),
        _Dopri5(),
        t0=t0,
        t1=t1,
        dt0=(t1 - t0) / 100,  # chosen here: a search for it would cost evaluations
        y0=x,
        stepsize_controller=diffrax.PIDController(rtol=rtol, atol=atol),
        max_steps=max_steps,
        throw=False,
        progress_meter=_Told() if underway.heard() else diffrax.NoProgressMeter(),
    )
    # diffrax's own check sends the state through the host, which gathers it onto one device and
    # loses its sharding; so only a flag goes, and the state depends on the flag.
    solved = solution.result == diffrax.RESULTS.successful
    solved = equinox.error_if(
        solved,
        ~solved,
        f"{NOT_SOLVED} in max_steps={max_steps} steps: look for NaN in the denoiser, "
        "raise max_steps, or loosen rtol and atol",
    )
    end = jax.tree.map(lambda y: jnp.where(solved, y[-1], jnp.nan), solution.ys)
    return end, 6 * solution.stats["num_steps"] + 1
