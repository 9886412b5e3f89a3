r"""The trace of a Jacobian along a trajectory: what the density that flows with it changes by.

The trace of J = df/dx is exact, from the D products J e_i, or Hutchinson's estimate (FFJORD:
Grathwohl et al. 2019, arXiv 1810.01367)

    tr(J) = E[e^T J e],    E[e e^T] = I,                                                       (1)

whose e is drawn once for an example and kept along its trajectory, so that the integral stays one
of an ODE, and an unbiased estimate. For symmetric J its variance is 2 (|J|_F^2 - sum_i J_ii^2) for
Rademacher e and 2 |J|_F^2 for Gaussian e. Over a subspace, P the projection onto it, the trace is
that of P J P: P e stands in the place of e. f and J e come from one linearisation of the network,
in forward mode.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp

from score_sde.checks import check_count, check_name

DIVERGENCES = ("hutchinson", "exact")

PROBES: dict[str, Callable[..., jax.Array]] = {
    "rademacher": jax.random.rademacher,
    "gaussian": jax.random.normal,
}

# P e of one example, [*data] both.
Projection = Callable[[jax.Array], jax.Array]
# (f of one example, x [*data]) -> (f(x) [*data], tr(J) or its estimate []).
Trace = Callable[[Callable[[jax.Array], jax.Array], jax.Array], tuple[jax.Array, jax.Array]]


@dataclasses.dataclass(frozen=True)
class Divergence:
    """How the trace is had.

    Attributes:
        divergence: "hutchinson", equation (1), or "exact".
        probes: how many e are averaged in (1).
        probe: distribution of e: "rademacher", the one of least variance, or "gaussian".
        chunk: the exact trace takes so many of its D products at once, which bounds its memory.

    Raises:
        ValueError: one of them is unknown or cannot work.
    """

    divergence: str = "hutchinson"
    probes: int = 1
    probe: str = "rademacher"
    chunk: int = 64

    def __post_init__(self) -> None:
        check_name("divergence", self.divergence, DIVERGENCES)
        check_name("probe", self.probe, PROBES)
        check_count("probes", self.probes)
        check_count("chunk", self.chunk)

    def trace(self, key: jax.Array, x: jax.Array, project: Projection = lambda e: e) -> Trace:
        """That of one example, along all of its trajectory.

        Args:
            key: of the example, from which its probes are drawn; the exact trace uses none.
            x: anywhere on the trajectory, [*data]: for its shape and dtype.
            project: onto the subspace over which the trace is, orthogonally; by default all of it.
        """
        if self.divergence == "exact":
            return exact(self.chunk, project)
        probes = PROBES[self.probe](key, (self.probes, *x.shape), x.dtype)
        return hutchinson(jax.vmap(project)(probes))


def hutchinson(probes: jax.Array) -> Trace:
    """Equation (1), averaged over probes [n, *data]."""

    def trace(f: Callable[[jax.Array], jax.Array], x: jax.Array) -> tuple[jax.Array, jax.Array]:
        v, products = _jacobian_products(f, x, probes)
        return v, jnp.vdot(probes, products) / len(probes)

    return trace


def exact(chunk: int, project: Projection = lambda e: e) -> Trace:
    """The sum of e_i^T J e_i over the axes, projected, `chunk` of them at a time."""

    def trace(f: Callable[[jax.Array], jax.Array], x: jax.Array) -> tuple[jax.Array, jax.Array]:
        def diagonal(axes: jax.Array) -> tuple[jax.Array, jax.Array]:
            # Axes past the end, which fill up the last chunk, have a basis vector of zeros.
            basis = jax.nn.one_hot(axes, x.size, dtype=x.dtype).reshape(-1, *x.shape)
            basis = jax.vmap(project)(basis)
            v, products = _jacobian_products(f, x, basis)
            return v, jnp.vdot(basis, products)

        if x.size <= chunk:
            return diagonal(jnp.arange(x.size))
        number = -(-x.size // chunk)
        v, parts = jax.lax.map(diagonal, jnp.arange(number * chunk).reshape(number, chunk))
        return v[0], parts.sum()

    return trace


def _jacobian_products(
    f: Callable[[jax.Array], jax.Array], x: jax.Array, tangents: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """f(x) [*data] and J e for each e of tangents [n, *data], from one evaluation of f.

    Only what depends on e is mapped over e: f is computed once. Forward mode, because XLA's CPU
    backend is slow at reverse mode inside a loop.
    """
    push = functools.partial(jax.jvp, f, (x,))
    return jax.vmap(lambda e: push((e,)), out_axes=(None, 0))(tangents)
