"""The one embedding of all that a network is told: the noise level and the conditions."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

import jax

from score_sde.models.conditions.base import Tokens
from score_sde.models.conditions.combined import (
    Embeddings,
    MakeEmbedding,
    check_told,
    make_embeddings,
    read_each,
    tokens_of,
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


class Told(NamedTuple):
    """What a network is told.

    Attributes:
        embedding: of all, after its swish, [batch, features]; None of nothing.
        tokens: of the conditions that have some; None if none has.
    """

    embedding: jax.Array | None
    tokens: Tokens | None

    def astype(self, dtype: Any) -> Told:
        """With all numbers of this dtype."""
        return jax.tree.map(lambda a: a if a.dtype == bool else a.astype(dtype), self)


def embed(
    noise: NoiseEmbedding | None,
    early: Embeddings | None,
    late: Embeddings | None,
    noise_label: jax.Array,
    cond: Cond,
    key: jax.Array | None,
) -> Told:
    """What the blocks of a network are told.

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
    batch, parts, seen = len(noise_label), [], []

    def told(conditions: Embeddings | None, own_key: jax.Array | None) -> jax.Array | None:
        if conditions is None:
            return None
        own = {n: v for n, v in (cond or {}).items() if n in conditions}
        found = read_each(conditions, own, batch, own_key)
        seen.extend(found)
        return sum(part.vector for part in found)

    if noise is not None:
        # Not the keys of those that come late.
        own_key = None if key is None else jax.random.fold_in(key, len(late or ()))
        parts.append(noise(noise_label, told(early, own_key)))
    if (vector := told(late, key)) is not None:
        parts.append(vector)
    return Told(jax.nn.silu(sum(parts)) if parts else None, tokens_of(seen))
