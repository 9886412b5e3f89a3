"""The one embedding of all that a network is told: the noise level and the conditions."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import jax
from flax import nnx

from score_sde.models.conditions.combined import (
    Embeddings,
    MakeEmbedding,
    check_told,
    make_embeddings,
)
from score_sde.models.embeddings import NoiseEmbedding

Cond = Mapping[str, jax.Array] | None


def make_early_and_late(
    conditions: Mapping[str, MakeEmbedding],
    early: Collection[str],
    noise: NoiseEmbedding | None,
    features: int,
    **layer: Any,
) -> tuple[Embeddings | None, Embeddings | None]:
    """The conditions that enter before the dense layers of the noise level, and those after them.

    Args:
        conditions: what makes each, by name.
        early: names of the first; one that is no condition is none.
        noise: the embedding of the noise level; None without one.
        features: size of the whole embedding.
        layer: param_dtype and rngs; see make_embeddings.

    Raises:
        ValueError: some are early, and no noise level is embedded.
    """
    first = {name: make for name, make in conditions.items() if name in early}
    then = {name: make for name, make in conditions.items() if name not in early}
    if first and noise is None:
        raise ValueError(
            "early_conditions enter with the noise level, which this network is not told: leave "
            "them out, or give conditional=True"
        )
    before = make_embeddings(first, noise.features, **layer) if first else None
    return before, make_embeddings(then, features, **layer)


def embed(
    noise: NoiseEmbedding | None,
    early: Embeddings | None,
    late: Embeddings | None,
    noise_label: jax.Array,
    cond: Cond,
    key: jax.Array | None,
) -> jax.Array | None:
    """What the blocks of a network are told, [batch, features], after its swish; or None.

    Args:
        noise: the embedding of the noise level; None without one.
        early: conditions that are added to its features; None for none.
        late: conditions that are added to itself; None for none.
        noise_label: [batch].
        cond: conditions by name; None for none.
        key: of their dropout; None for none.

    Raises:
        ValueError: cond has what is neither early nor late.
    """
    check_told(cond, {*(early or ()), *(late or ())})
    batch, parts = len(noise_label), []
    if noise is not None:
        # Not the keys of those that come late.
        own_key = None if key is None else jax.random.fold_in(key, len(late or ()))
        parts.append(noise(noise_label, _of(early, cond, batch, own_key)))
    if (told := _of(late, cond, batch, key)) is not None:
        parts.append(told)
    return jax.nn.silu(sum(parts)) if parts else None


def _of(conditions: nnx.Dict | None, cond: Cond, batch: int, key: jax.Array | None) -> Any:
    if conditions is None:
        return None
    return conditions({n: v for n, v in (cond or {}).items() if n in conditions}, batch, key)
