r"""The exact log-likelihood of a model, by the probability-flow ODE.

Along a solution of  dx/dt = v(x, t)  the density that flows with it changes by the instantaneous
change of variables (Chen et al. 2018, arXiv 1806.07366), so with the prior pi at t_max

    log p(x) = log pi(x(t_max)) + int_{t_min}^{t_max} tr(J(x(t), t)) dt,    J = dv/dx,          (1)

where x(t_min) = x (Song et al. 2021, arXiv 2011.13456, equation 39). The state x and the integral
are solved together. p is the density of what the ODE draws from the prior at t_min: data with the
noise of that time, sigma(t_min), on it. The trace is exact or Hutchinson's estimate (see
score_sde.divergence).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from score_sde import keys
from score_sde.checks import check_count, check_positive
from score_sde.divergence import Divergence
from score_sde.prediction import Denoiser
from score_sde.processes import SDE
from score_sde.samplers.ode import probability_flow, solved
from score_sde.subspace import support_of


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

    Where the states of the denoiser lie in a subspace (score_sde.subspace) p is a density of that:
    x is projected onto it, and the trace is that over it.

    Each example has step sizes and probes of its own, so its answer is the same in every batch (to
    rounding). The price: a batch is evaluated as often as its hardest example needs.

    Args:
        key: JAX random key, of which example i takes fold_in(key, i); or keys [batch], one each.
            The exact divergence uses none.
        denoise: (x [batch, *data], t [batch], cond) -> Prediction. It is called under `jax.vmap`
            with a batch of one, so that whatever belongs to an example must come through `cond`.
        sde: the forward process that `denoise` belongs to.
        x: data at t_min in the model's range, [batch, *data], of a floating dtype.
        divergence: "hutchinson" or "exact"; see divergence.Divergence for this and what follows.
        probes: how many of Hutchinson's estimates are averaged.
        rtol: relative tolerance of a step, for the root mean square of x and the integral.
        atol: absolute tolerance of a step, in units of x and nats.
        cond: handed to `denoise`: None, or a pytree of arrays [batch, ...].
        probe: distribution of their probes: "rademacher" or "gaussian".
        max_steps: of the solver, rejected ones included.
        chunk: so many products of the exact trace are computed at once.

    Returns:
        LogLikelihood.

    Raises:
        ValueError: an option is unknown or cannot work, x is not of a floating dtype, or there are
            more or fewer keys than examples.
        RuntimeError: max_steps were not enough for some example (or the denoiser gave a NaN);
            under jit too.
    """
    divergences = Divergence(divergence, probes, probe, chunk)
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise ValueError(f"x must be of a floating dtype, in the model's range, not {x.dtype}")
    check_count("max_steps", max_steps)
    check_positive("rtol", rtol)
    check_positive("atol", atol)
    if not keys.is_vector(key):
        key = keys.of_examples(key, jnp.arange(len(x)))
    if len(key) != len(x):
        raise ValueError(f"{len(key)} keys for {len(x)} examples: give one key, or one each")

    def one(key: jax.Array, x: jax.Array, cond: Any) -> tuple[jax.Array, jax.Array, jax.Array]:
        cond = jax.tree.map(lambda a: a[None], cond)
        where = support_of(denoise, cond)
        trace = divergences.trace(key, x, lambda e: where.project(e[None])[0])

        def rate(piece: Denoiser) -> Callable[..., tuple[jax.Array, jax.Array]]:
            velocity = probability_flow(piece, sde, cond)
            return lambda t, state: trace(lambda x: velocity(t, x[None])[0], state[0])

        start = x, jnp.zeros((), x.dtype)
        end, counts = solved(denoise, sde, rate, start, rtol=rtol, atol=atol, max_steps=max_steps)
        return *end, counts

    where = support_of(denoise, cond)
    latent, integral, counts = jax.vmap(one)(key, where.project(x), cond)
    logp = sde.prior_logp(latent, where.dimension(latent)) + integral
    nfe = counts.max(axis=0).sum()
    return LogLikelihood(logp, nfe, counts.sum(axis=1), latent)
