r"""The exact log-likelihood of a model, by the probability-flow ODE.

Along a solution of  dx/dt = v(x, t)  the density that flows with it changes by the instantaneous
change of variables (Chen et al. 2018, arXiv 1806.07366), so with the prior pi at t_max

    log p(x) = log pi(x(t_max)) + int_{t_min}^{t_max} tr(J(x(t), t)) dt,    J = dv/dx,          (1)

where x(t_min) = x (Song et al. 2021, arXiv 2011.13456, equation 39). The state x and the integral
are solved together. p is the density of what the ODE draws from the prior at t_min: data with the
noise of that time, sigma(t_min), on it. The trace is exact, from the D products J e_i, or
Hutchinson's estimate (FFJORD: Grathwohl et al. 2019, arXiv 1810.01367)

    tr(J) = E[e^T J e],    E[e e^T] = I,                                                       (2)

whose e is drawn once for an example and kept along its trajectory, so that (1) stays an ODE, and
an unbiased estimate. For symmetric J its variance is 2 (|J|_F^2 - sum_i J_ii^2) for Rademacher e
and 2 |J|_F^2 for Gaussian e. v and J e come from one linearisation of the network, in forward mode.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from score_sde import keys
from score_sde.checks import check_count, check_name, check_positive
from score_sde.prediction import Denoiser
from score_sde.processes import SDE
from score_sde.samplers.ode import probability_flow, solved

DIVERGENCES = ("hutchinson", "exact")

PROBES: dict[str, Callable[..., jax.Array]] = {
    "rademacher": jax.random.rademacher,
    "gaussian": jax.random.normal,
}

# (velocity of one example, x [*data]) -> (v [*data], tr(J) or its estimate []).
Divergence = Callable[[Callable[[jax.Array], jax.Array], jax.Array], tuple[jax.Array, jax.Array]]


class LogLikelihood(NamedTuple):
    """What `log_likelihood` finds.

    Attributes:
        logp: log p(x), equation (1), nats, [batch].
        nfe: evaluations of the network on the batch, an integer array []; each comes with as many
            Jacobian-vector products as there are probes (or dimensions, if exact). The batch is
            evaluated until its last example is done: this is the largest of `nfe_each`; where
            guidance begins or ends at some time, the sum of the largest before and after it.
        nfe_each: evaluations that each example needed, integers [batch].
        latent: x at t_max, [batch, *data].
    """

    logp: jax.Array
    nfe: jax.Array
    nfe_each: jax.Array
    latent: jax.Array


def log_likelihood(
    key: jax.Array,
    denoise: Denoiser,
    sde: SDE,
    x: jax.Array,
    divergence: str = "hutchinson",
    probes: int = 1,
    rtol: float = 1e-5,
    atol: float = 1e-5,
    *,
    cond: Any = None,
    probe: str = "rademacher",
    max_steps: int = 4096,
    chunk: int = 64,
) -> LogLikelihood:
    """log p(x) of each example, equation (1); pure, so it can be jitted, and sharded over a batch.

    Each example has step sizes and probes of its own, so its answer is the same in every batch (to
    rounding). The price: a batch is evaluated as often as its hardest example needs.

    Args:
        key: JAX random key, of which example i takes fold_in(key, i); or keys [batch], one each.
            The exact divergence uses none.
        denoise: (x [batch, *data], t [batch], cond) -> Prediction. It is called under `jax.vmap`
            with a batch of one, so that whatever belongs to an example must come through `cond`.
        sde: the forward process that `denoise` belongs to.
        x: data at t_min in the model's range, [batch, *data], of a floating dtype.
        divergence: "hutchinson", equation (2), or "exact".
        probes: how many e are averaged in (2).
        rtol: relative tolerance of a step, for the root mean square of x and the integral.
        atol: absolute tolerance of a step, in units of x and nats.
        cond: handed to `denoise`: None, or a pytree of arrays [batch, ...].
        probe: distribution of e: "rademacher", the one of least variance, or "gaussian".
        max_steps: of the solver, rejected ones included.
        chunk: the exact trace takes so many of its D products at once, which bounds its memory.

    Returns:
        LogLikelihood.

    Raises:
        ValueError: an option is unknown or cannot work, x is not of a floating dtype, or there are
            more or fewer keys than examples.
        RuntimeError: max_steps were not enough for some example (or the denoiser gave a NaN);
            under jit too.
    """
    _check(divergence, probe, x, probes=probes, max_steps=max_steps, chunk=chunk)
    check_positive("rtol", rtol)
    check_positive("atol", atol)
    if not keys.is_vector(key):
        key = keys.of_examples(key, jnp.arange(len(x)))
    if len(key) != len(x):
        raise ValueError(f"{len(key)} keys for {len(x)} examples: give one key, or one each")

    def one(key: jax.Array, x: jax.Array, cond: Any) -> tuple[jax.Array, jax.Array, jax.Array]:
        cond = jax.tree.map(lambda a: a[None], cond)
        trace = (
            _exact(chunk)
            if divergence == "exact"
            else _hutchinson(PROBES[probe](key, (probes, *x.shape), x.dtype))
        )

        def rate(piece: Denoiser) -> Callable[..., tuple[jax.Array, jax.Array]]:
            velocity = probability_flow(piece, sde, cond)
            return lambda t, state: trace(lambda x: velocity(t, x[None])[0], state[0])

        start, tolerances = (x, jnp.zeros((), x.dtype)), {"rtol": rtol, "atol": atol}
        end, counts = solved(denoise, sde, rate, start, max_steps=max_steps, **tolerances)
        return *end, counts

    latent, integral, counts = jax.vmap(one)(key, x, cond)
    logp, nfe = sde.prior_logp(latent) + integral, counts.max(axis=0).sum()
    return LogLikelihood(logp, nfe, counts.sum(axis=1), latent)


def _check(divergence: str, probe: str, x: jax.Array, **counts: int) -> None:
    check_name("divergence", divergence, DIVERGENCES)
    check_name("probe", probe, PROBES)
    for name, value in counts.items():
        check_count(name, value)
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise ValueError(f"x must be of a floating dtype, in the model's range, not {x.dtype}")


def _hutchinson(probes: jax.Array) -> Divergence:
    """Equation (2), averaged over probes [n, *data]."""

    def trace(
        velocity: Callable[[jax.Array], jax.Array], x: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        v, products = _jacobian_products(velocity, x, probes)
        return v, jnp.vdot(probes, products) / len(probes)

    return trace


def _exact(chunk: int) -> Divergence:
    """The sum of e_i^T J e_i over all axes, `chunk` of them at a time."""

    def trace(
        velocity: Callable[[jax.Array], jax.Array], x: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        def diagonal(axes: jax.Array) -> tuple[jax.Array, jax.Array]:
            # Axes past the end, which fill up the last chunk, have a basis vector of zeros.
            basis = jax.nn.one_hot(axes, x.size, dtype=x.dtype).reshape(-1, *x.shape)
            v, products = _jacobian_products(velocity, x, basis)
            return v, jnp.vdot(basis, products)

        if x.size <= chunk:
            return diagonal(jnp.arange(x.size))
        number = -(-x.size // chunk)
        v, parts = jax.lax.map(diagonal, jnp.arange(number * chunk).reshape(number, chunk))
        return v[0], parts.sum()

    return trace


def _jacobian_products(
    velocity: Callable[[jax.Array], jax.Array], x: jax.Array, tangents: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """v(x) [*data] and J e for each e of tangents [n, *data], from one evaluation of v.

    Only what depends on e is mapped over e: v is computed once. Forward mode, because XLA's CPU
    backend is slow at reverse mode inside a loop.
    """
    push = functools.partial(jax.jvp, velocity, (x,))
    return jax.vmap(lambda e: push((e,)), out_axes=(None, 0))(tangents)
