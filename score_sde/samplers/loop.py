"""The one loop that runs every fixed-step solver, over the rows of its table."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from score_sde import keys
from score_sde.composite import evaluations
from score_sde.prediction import Denoiser, with_variance
from score_sde.samplers.sample import NOISE
from score_sde.samplers.table import Table
from score_sde.subspace import WHOLE, Support


class State(NamedTuple):
    """Where a table is: before row r.

    Attributes:
        states: x_r, x_{r-1}, ..., [batch, *data] each (for `run`, pytrees of such).
        predictions: D_{r-1}, D_{r-2}, ..., the same.
        nfe: evaluations of a network until now, an integer [].
    """

    states: tuple[Any, ...]
    predictions: tuple[Any, ...]
    nfe: jax.Array


def noise_of_rows(
    key: jax.Array, x: jax.Array, support: Support = WHOLE
) -> Callable[[jax.Array], jax.Array]:
    """A row's number [] -> its noise, of x's shape and dtype.

    Args:
        key: the sampler's.
        x: a state, [batch, *data].
        support: where states lie, and so the noise.
    """
    key = keys.fold_in(key, NOISE)

    def noise(row: jax.Array) -> jax.Array:
        own = keys.fold_in(keys.fold_in(key, row), 0)
        return support.project(keys.normal(own, x.shape, x.dtype))

    return noise


def before(table: Table, x: Any) -> State:
    """The state before row 0, at x [batch, *data], or a pytree of such."""
    nothing = jax.tree.map(jnp.zeros_like, x)
    earlier = (nothing,) * (table.states.shape[1] - 1)
    return State((x, *earlier), (nothing,) * (table.predictions.shape[1] - 1), jnp.array(0))


def run(
    table: Table,
    state: State,
    denoise: Denoiser,
    noise: Callable[[jax.Array], jax.Array] | None,
    first: int | jax.Array,
    last: int | jax.Array,
    cond: Any = None,
    correct: Callable[[jax.Array, State], State] | None = None,
) -> State:
    """The state before row `last`, from that before row `first`.

    Args:
        table: the solver's.
        state: before row `first`; its arrays are [batch, *data].
        denoise: (x, t [batch], cond) -> Prediction, whose parts are as x is.
        noise: the row's number [] -> z, as x is; None if no row adds noise.
        first: the row to begin with.
        last: the row to stop before.
        cond: handed to `denoise`.
        correct: (the row's number [], state) -> state, before the row's evaluation; None for none.
    """
    x = jax.tree.leaves(state.states[0])[0]
    # By jnp.asarray each size of a table would be a program of its own where this is not compiled.
    t, a, c, n = (
        jax.device_put(part.astype(x.dtype))
        for part in (table.t, table.states, table.predictions, table.noise)
    )

    spread = None if table.spread is None else jax.device_put(table.spread.astype(x.dtype))

    def row(r: jax.Array, state: State) -> State:
        state = state if correct is None else correct(r, state)
        at = state.states[0], jnp.full(x.shape[:1], t[r]), cond
        if spread is None:
            predicted, factor = denoise(*at), 1
        else:
            predicted, v = with_variance(denoise, *at)
            factor = jnp.exp(spread[r] * v)
        predictions = (getattr(predicted, table.predicts), *state.predictions)
        terms = [(a[r, j], x) for j, x in enumerate(state.states)]
        terms += [(c[r, j], d) for j, d in enumerate(predictions)]
        if noise is not None:
            terms.append((n[r] * factor, noise(r)))
        return State(
            (_combined(terms), *state.states[:-1]),
            predictions[: len(state.predictions)],
            state.nfe + evaluations(denoise, t[r]),
        )

    return jax.lax.fori_loop(first, last, row, state)


def _combined(terms: Sequence[tuple[jax.Array, Any]]) -> Any:
    """The sum of pytrees of one structure, each times its weight [] (or as the arrays are)."""

    def of(*leaves: jax.Array) -> jax.Array:
        return functools.reduce(jnp.add, (w * x for (w, _), x in zip(terms, leaves, strict=True)))

    return jax.tree.map(of, *(tree for _, tree in terms))
