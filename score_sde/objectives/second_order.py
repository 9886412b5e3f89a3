r"""Second-order denoising score matching: a denoiser's own Jacobian, for the likelihood of its ODE.

The probability flow changes log p by the divergence of the score, which an error of the score alone
does not bound (Lu et al. 2022, arXiv 2206.08265, Theorem 3.2): it takes the score's derivatives
too. They are those of E[x_0 | x], and known from what denoising leaves: by Tweedie's formula, with
l = E[eps | x] - eps,

    alpha d E[x_0 | x] / dx = Cov[eps | x] = E[l l^T | x].                                   (1)

So with a probe e of independent signs, one Jacobian-vector product gives the error

    R e = alpha (dx_0 / dx) e - (l . e) l,    in the loss    |R e|^2 + (e . R e)^2,           (2)

of the Jacobian and of its trace (Section 4 there), with l the model's own and held fixed: it is
least where (1) holds if l is exact, and else off by the error of the first order. Equation (2) is
an error of eps; that of x_0 is -sigma / alpha times as large, without a division

    - sigma (dx_0 / dx) e - (l . e) (E[x_0 | x] - x_0),                                      (3)

and so any quantity is weighted here as its error of the first order is. Even its least value is
large in many dimensions, for (l . e) l is one draw of a matrix: where Cov[eps | x] = c I the mean
of (2) over D dimensions is (3 D + 1) c^2, that of |l|^2 is c. The third order is not here: it takes
a derivative of (2) by x, and so two derivatives of the network before the gradient.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from score_sde.prediction import Denoiser, Prediction
from score_sde.processes import SDE, expand


def evaluated(
    key: jax.Array, denoise: Denoiser, x: jax.Array, t: jax.Array, cond: Any
) -> tuple[Prediction, jax.Array, jax.Array]:
    """What a denoiser predicts, a probe, and how the predicted data change along it.

    Args:
        key: JAX random key of the probe.
        denoise: the denoiser.
        x: state, [batch, *data].
        t: [batch].
        cond: as of a Denoiser.

    Returns:
        The prediction; e; (dx_0 / dx) e; the arrays of the shape of x.
    """
    probe = jax.random.rademacher(key, x.shape, x.dtype)
    prediction, change = jax.jvp(lambda x: denoise(x, t, cond), (x,), (probe,))
    return prediction, probe, change.x0


def errors(
    sde: SDE,
    t: jax.Array,
    prediction: Prediction,
    truth: Prediction,
    probe: jax.Array,
    change: jax.Array,
) -> Prediction:
    """R e of equations (2) and (3), as x_0 and eps of a pair; see `evaluated` for the arguments.

    Args:
        sde: the forward process.
        t: [batch].
        prediction: of the denoiser.
        truth: the data and the noise of the state.
        probe: e.
        change: (dx_0 / dx) e.
    """
    off = jax.lax.stop_gradient(jax.tree.map(jnp.subtract, prediction, truth))
    along = expand(_dot(off.eps, probe), probe)
    alpha, sigma = expand(sde.alpha(t), probe), expand(sde.sigma(t), probe)
    return Prediction(-sigma * change - along * off.x0, alpha * change - along * off.eps)


def squares(error: jax.Array, probe: jax.Array) -> jax.Array:
    """What sums, over the axes of an example, to the loss (2); [batch, *data].

    Args:
        error: R e, of any quantity, [batch, *data].
        probe: e, of signs.
    """
    trace = expand(_dot(probe, error) ** 2, probe) / (probe.size / len(probe))
    return error**2 + trace


def _dot(x: jax.Array, y: jax.Array) -> jax.Array:
    """Products of the examples of two batches, [batch]."""
    return jnp.sum((x * y).reshape(len(x), -1), axis=1)
