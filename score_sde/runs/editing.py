"""An image under one prompt, drawn under another: by exact inversion.

The probability-flow ODE given the first prompt leads from the image to its state at t_max, and
given the second prompt back: what both say stays (Su et al. 2022, arXiv 2203.08382). It is solved
with an adaptive step, so that under the same prompt and without guidance the image comes back.
"""

from __future__ import annotations

import functools
from typing import Any

import jax

from score_sde.errors import UserError, solver_error_as
from score_sde.prediction import Denoiser
from score_sde.processes import SDE
from score_sde.runs import drawing
from score_sde.samplers import Sampler
from score_sde.samplers.ode import RK45, probability_flow, solved

TOLERANCE = 1e-3  # of latents, whose deviation is about 1


def sampler(asked: str | Sampler | None) -> RK45:
    """What draws.

    Raises:
        UserError: another sampler is asked for.
    """
    if isinstance(asked, RK45):
        return asked
    if asked not in (None, "rk45"):
        raise UserError("an edit is drawn along the ODE that led from the image: leave out sampler")
    return RK45(rtol=TOLERANCE, atol=TOLERANCE)


def inverted(
    denoise: Denoiser, sde: SDE, x: jax.Array, cond: dict[str, jax.Array], by: RK45
) -> tuple[jax.Array, int]:
    """The states at t_max of states, and the evaluations for each.

    Args:
        denoise: the model's, without guidance.
        sde: its process.
        x: [batch, *data].
        cond: what it is told of the first prompt.
        by: whose tolerances are taken.

    Raises:
        UserError: the ODE was not solved.
    """
    with solver_error_as(UserError):
        z, counts = _inverted(by, sde, drawing.as_argument(denoise), x, cond)
        return z, int(counts.sum())


@functools.partial(jax.jit, static_argnums=(0, 1))
def _inverted(
    by: RK45, sde: SDE, denoise: Any, x: jax.Array, cond: dict[str, jax.Array]
) -> tuple[jax.Array, jax.Array]:
    return solved(
        drawing.of_argument(denoise),
        sde,
        lambda one: probability_flow(one, sde, cond),
        x,
        rtol=by.rtol,
        atol=by.atol,
        max_steps=by.max_steps,
    )
