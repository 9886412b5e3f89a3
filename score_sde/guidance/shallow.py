r"""Shallow diffusion (Liu et al. 2021, DiffSinger, arXiv 2105.02446): from a prediction, not noise.

Something simple, such as a regression, predicts x~ of what is to be drawn, x_0, nearly right and
too smooth. With as much noise as at a time t_K both look alike: the noised states are apart by

    KL(N(alpha x_0, sigma^2) || N(alpha x~, sigma^2)) = alpha^2 |x_0 - x~|^2 / (2 sigma^2).    (1)

So a sampler may begin at t_K, with alpha x~ + sigma eps, and its steps before are left out. The
state that it begins with otherwise, of the prior N(0, s^2) at t_max, is apart from that of x_0 by

    alpha^2 |x_0|^2 / (2 s^2) + d (sigma^2 / s^2 - 1 - log(sigma^2 / s^2)) / 2,                (2)

and the paper takes for t_K the first time at which (1) is no more than that (Appendix B).
"""

from __future__ import annotations

import contextlib
import math

import jax

from score_sde import keys
from score_sde.guidance.task import Redraw
from score_sde.processes import SDE
from score_sde.samplers.sample import PRIOR, Sampler


def boundary(sde: SDE, error: float, nats: float) -> float:
    """t_K: from there on equation (1) is at most so much.

    Args:
        sde: the process.
        error: |x_0 - x~|^2 of a state, expected.
        nats: how far noised states may be apart, such as `of_prior`.

    Returns:
        A time in [t_min, t_max]; t_max if they are always further apart.

    Raises:
        ValueError: an argument is negative.
    """
    if error < 0 or nats < 0:
        raise ValueError(f"error is {error:g} and nats {nats:g}: neither can be negative")
    if not error:
        return float(sde.t_min)
    if not nats:
        return float(sde.t_max)
    t = float(sde.time_at_log_snr(math.log(2 * nats / error)))
    return min(max(t, float(sde.t_min)), float(sde.t_max))


def of_prior(sde: SDE, squares: float, size: int) -> float:
    """Equation (2), nats.

    Args:
        sde: the process.
        squares: |x_0|^2 of a state, expected.
        size: d, numbers of a state.
    """
    alpha, sigma = float(sde.alpha(sde.t_max)), float(sde.sigma(sde.t_max))
    ratio = (sigma / sde.prior_std) ** 2
    return (alpha / sde.prior_std) ** 2 * squares / 2 + size * (ratio - 1 - math.log(ratio)) / 2


def later(sampler: Sampler, sde: SDE, t: float) -> Sampler:
    """The sampler that begins at the last of its times that is not before t.

    Args:
        sampler: of fixed steps.
        sde: the process.
        t: t_K.

    Raises:
        ValueError: the sampler has no steps that could be left out.
    """
    sampler.later(sde, 1.0)  # which says if it has no steps
    pieces = sampler.pieces(sde)
    for count in range(1, pieces):
        with contextlib.suppress(ValueError):  # too few steps for its order
            shorter = sampler.later(sde, count / pieces)
            if shorter.begins(sde) >= t:
                return shorter
    return sampler


def begun(
    sampler: Sampler, sde: SDE, key: jax.Array, predicted: jax.Array, t: float
) -> tuple[Sampler, jax.Array]:
    """The sampler of `later`, and what it begins with.

    Args:
        sampler: of fixed steps.
        sde: the process.
        key: JAX random key, or one for each example, [batch].
        predicted: x~, [batch, *data].
        t: t_K.

    Returns:
        The sampler with fewer steps, and its x_init, [batch, *data].

    Raises:
        ValueError: the sampler has no steps that could be left out.
    """
    found = later(sampler, sde, t)
    noise = found.prior(keys.fold_in(key, PRIOR), sde, predicted.shape, predicted.dtype)
    return found, Redraw().start(sde, noise, found.begins(sde), predicted)
