r"""Two predictions of one state: how they are evaluated together, and what is made of them.

Both are of one x = alpha x0 + sigma eps, so they differ along a line on which eps moves by
-alpha / sigma times what x0 does. Whatever is done to x0 can so be done to the pair, without
knowing the process: alpha / sigma of an example is the ratio of their differences,

    |eps_1 - eps_0| / |x0_1 - x0_0|.                                                        (1)
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

import jax
import jax.numpy as jnp

from score_sde.prediction import Denoiser, Prediction, null_like
from score_sde.processes import expand
from score_sde.subspace import lies_in

Cond = Mapping[str, jax.Array] | None
X0 = "x0"
# What can be rescaled, of a prediction and alpha / sigma: v = alpha eps - sigma x0 over sigma.
RESCALED: Mapping[str, Callable[[Prediction, jax.Array], jax.Array]] = {
    X0: lambda found, ratio: found.x0,
    "eps": lambda found, ratio: found.eps,
    "v": lambda found, ratio: ratio * found.eps - found.x0,
}


def told_both(
    denoise: Denoiser,
    x: jax.Array,
    t: jax.Array,
    cond: Cond,
    negative: Cond,
    keeps: Collection[str] = (),
) -> tuple[Prediction, Prediction]:
    """The predictions given two conditions, from one call on a batch of twice the size.

    From two calls where a condition is missing for which the denoiser, or its dtype, has no null.
    What says where the states lie is never missing: both have that of cond, or of negative.

    Args:
        denoise: of the model.
        x: state, [batch, *data].
        t: time, [batch] or [].
        cond: conditions, [batch, ...] each.
        negative: the others, [batch, ...] or [1, ...] each; None for no condition.
        keeps: names of those of cond that both have, unless negative has them.

    Raises:
        ValueError: both are None, or a condition is not of the batch.
    """
    cond, negative = _arrays(cond), _arrays(negative)
    if not cond and not negative:
        raise ValueError("guidance to a condition needs one: give cond, arrays by name")
    # What says where the states lie says so of both predictions.
    both = (*lies_in(denoise).conditions, *keeps)
    kept = {name: cond[name] for name in both if name in (cond or {})}
    negative = {**kept, **(negative or {})} if kept else negative
    together = _together(cond or {}, negative or {}, len(x)) if takes_nulls(denoise) else None
    if together is None:
        return denoise(x, t, cond), denoise(x, t, negative)
    t = jnp.broadcast_to(t, x.shape[:1])
    # Side by side: where a batch is split over devices, the two of an example stay on one.
    pair = denoise(jnp.repeat(x, 2, axis=0), jnp.repeat(t, 2, axis=0), together)
    pair = jax.tree.map(lambda a: a.reshape(len(x), 2, *a.shape[1:]), pair)
    first, second = (jax.tree.map(lambda a, n=n: a[:, n], pair) for n in (0, 1))
    return first, second


def _arrays(cond: Cond) -> Cond:
    """Those conditions that are given, as arrays of JAX; ValueError if they have no names."""
    if cond is None:
        return None
    if not isinstance(cond, Mapping):
        raise ValueError(f"conditions are arrays by name, not of type {type(cond).__name__}")
    return {name: jnp.asarray(value) for name, value in cond.items() if value is not None}


def takes_nulls(denoise: Denoiser) -> bool:
    """Whether a denoiser knows conditions that are missing for some examples; see Denoiser."""
    return getattr(denoise, "TAKES_NULLS", False)


def _together(cond: Cond, negative: Cond, batch: int) -> Cond:
    """The two side by side for each example, [2 batch, ...] each; None if one has no null."""
    found = {}
    for name in {**cond, **negative}:
        values = [given.get(name) for given in (cond, negative)]
        if all(value is None for value in values):
            continue
        like = next(value for value in values if value is not None)
        values = [null_like(like) if value is None else value for value in values]
        if any(value is None for value in values):
            return None
        for value in values:
            if value.shape[:1] not in ((batch,), (1,)):
                raise ValueError(
                    f"the condition {name} is an array [batch, ...] or [1, ...], and the batch is "
                    f"{batch}: not of shape {value.shape}"
                )
        if values[0].shape[1:] != values[1].shape[1:]:
            raise ValueError(
                f"the condition {name} and the negative one are of shapes {values[0].shape} and "
                f"{values[1].shape}, whose examples must be of one"
            )
        each = [jnp.broadcast_to(v, (batch, *v.shape[1:])) for v in values]
        found[name] = jnp.stack(each, axis=1).reshape(2 * batch, *each[0].shape[1:])
    return found


def extrapolated(wanted: Prediction, other: Prediction, scale: float) -> Prediction:
    """other + scale (wanted - other)."""
    return jax.tree.map(lambda o, w: o + scale * (w - o), other, wanted)


def rescaled(
    guided: Prediction, wanted: Prediction, other: Prediction, share: float, of: str = X0
) -> Prediction:
    """`guided`, with the standard deviation of one thing part of the way to that of `wanted`.

    That thing, y, becomes share y std(wanted y) / std(y) + (1 - share) y, std over each example.

    Args:
        guided: made of the two, of the same state.
        wanted: the one that it is led to.
        other: the one that it is led away from.
        share: from 0 to 1.
        of: a key of RESCALED, what y is.
    """
    ratio = expand(_ratio(wanted, other), guided.x0)
    own, aim = (_std(RESCALED[of](one, ratio)) for one in (guided, wanted))
    factor = jnp.where(own > 0, aim / jnp.where(own > 0, own, 1), 1)
    change = expand(share * (factor - 1), guided.x0) * RESCALED[of](guided, ratio)
    # What y changes by where x0 does by one, and eps by -ratio.
    slope = RESCALED[of](Prediction(jnp.ones_like(ratio), -ratio), ratio)
    step = jnp.where(slope != 0, change / jnp.where(slope != 0, slope, 1), 0)
    return moved(guided, step, wanted, other)


def moved(
    prediction: Prediction, step: jax.Array, wanted: Prediction, other: Prediction
) -> Prediction:
    """A prediction of the same state with `step`, [batch, *data], added to its x0; by (1)."""
    ratio = expand(_ratio(wanted, other), step)
    return Prediction(prediction.x0 + step, prediction.eps - ratio * step)


def _ratio(wanted: Prediction, other: Prediction) -> jax.Array:
    """alpha / sigma of each example, equation (1), [batch]; 0 where the two are the same."""
    x0, eps = (_norm(w - o) for w, o in zip(wanted, other, strict=True))
    return jnp.where(x0 > 0, eps / jnp.where(x0 > 0, x0, 1), 0)


def _std(x: jax.Array) -> jax.Array:
    return jnp.std(x.reshape(len(x), -1), axis=1)


def _norm(x: jax.Array) -> jax.Array:
    return jnp.linalg.norm(x.reshape(len(x), -1), axis=1)
