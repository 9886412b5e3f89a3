"""All that a network is told beside the state and the noise level: the sum of its conditions."""

from __future__ import annotations

import dataclasses
import functools
import operator
import types
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from score_sde.fields import Field
from score_sde.models.conditions.base import Condition, Read, Tokens, Unit
from score_sde.models.layers import Layer

# Makes the module of a condition: make(features, param_dtype=..., rngs=...), such as
# Make(Label(), field) or functools.partial(Label().embedding, field).
MakeEmbedding = Callable[..., nnx.Module]


@dataclasses.dataclass(frozen=True)
class Make:
    """Makes the module of a condition; `unit` that of a network that preserves magnitudes.

    Attributes:
        options: what the condition is told by a config.
        field: of the data.
    """

    options: Condition
    field: Field

    @property
    def beside(self) -> bool:
        """See Condition.BESIDE."""
        return self.options.BESIDE

    def __call__(self, features: int, **layer: Any) -> nnx.Module:
        """See Condition.embedding."""
        return self.options.embedding(self.field, features, **layer)

    def unit(self, features: int, **layer: Any) -> nnx.Module:
        """See Condition.unit_embedding."""
        return self.options.unit_embedding(self.field, features, **layer)


NO_CONDITIONS: Mapping[str, MakeEmbedding] = types.MappingProxyType({})


class Embeddings(nnx.Dict[Any]):  # of modules, which are called with conditions
    """The modules of some conditions, by name; at least one.

    Args:
        args: a dictionary of them.
        kwargs: more, by name.
    """

    def __call__(
        self, cond: Mapping[str, jax.Array] | None, batch: int, key: jax.Array | None
    ) -> jax.Array:
        """The sum of the conditions' embeddings, [batch, features].

        Args:
            cond: values by name, [batch, ...] each; one that is not there, or is None, is missing
                for all, and its module gives its null.
            batch: number of examples.
            key: for dropout; None for none. The i-th condition by name takes fold_in(key, i).

        Raises:
            ValueError: cond has a name that is not among the conditions.
        """
        return total(embed_each(self, cond, batch, key))


def total(embeddings: Sequence[jax.Array]) -> jax.Array:
    """The sum of one embedding or several, [batch, features]."""
    return functools.reduce(operator.add, embeddings)


def embed_each(
    embeddings: Embeddings,
    cond: Mapping[str, jax.Array] | None,
    batch: int,
    key: jax.Array | None,
) -> list[jax.Array]:
    """The embedding of each condition, in the order of their names; see Embeddings.__call__.

    A function, not a method: a condition may have any name.
    """
    return [found.vector for found in read_each(embeddings, cond, batch, key)]


def read_each(
    embeddings: Embeddings,
    cond: Mapping[str, jax.Array] | None,
    batch: int,
    key: jax.Array | None,
) -> list[Read]:
    """The same with the tokens of those conditions that have some."""
    check_told(cond, embeddings)
    values, parts = cond or {}, []
    for i, name in enumerate(sorted(embeddings)):
        own_key = None if key is None else jax.random.fold_in(key, i)
        module, asked = embeddings[name], (values.get(name), batch, own_key)
        parts.append(module.read(*asked) if hasattr(module, "read") else Read(module(*asked)))
    return parts


def token_features(*embeddings: Embeddings | None) -> int:
    """The size of the tokens that conditions give; 0 if none gives any."""
    modules = (embedding[name] for embedding in embeddings if embedding for name in embedding)
    return max((getattr(module, "token_features", 0) for module in modules), default=0)


def tokens_of(parts: Sequence[Read]) -> Tokens | None:
    """The tokens of all conditions one after another; None if none has any."""
    found = [part.tokens for part in parts if part.tokens is not None]
    return jax.tree.map(lambda *a: jnp.concatenate(a, axis=1), *found) if found else None


def make_embeddings(
    conditions: Mapping[str, MakeEmbedding],
    features: int,
    *,
    unit: bool = False,
    param_dtype: jnp.dtype,
    rngs: nnx.Rngs,
) -> Embeddings | None:
    """The conditions of a network, made in the order of their names; None if there are none.

    Args:
        conditions: what makes the module of each, by name.
        features: size of the embedding.
        unit: whether each is of unit size, for a network that preserves magnitudes.
        param_dtype: dtype of the parameters.
        rngs: random streams of the initialisation.

    Raises:
        ValueError: one is no embedding; see models.beside.
    """
    if not conditions:
        return None
    for name, one in conditions.items():
        if is_beside(one):
            raise ValueError(
                f"this network sees nothing beside its state, as {name} would have to be: use the "
                "network unet or dit, or video_unet or video_dit of videos"
            )
    layer: Layer = {"param_dtype": param_dtype, "rngs": rngs}
    make = {name: _unit(one) if unit else one for name, one in conditions.items()}
    return Embeddings({name: make[name](features, **layer) for name in sorted(make)})


def is_beside(make: MakeEmbedding) -> bool:
    """Whether a condition is seen beside the state; see models.beside."""
    return getattr(make, "beside", False)


def _unit(make: MakeEmbedding) -> MakeEmbedding:
    return getattr(make, "unit", lambda *args, **layer: Unit(make(*args, **layer)))


def check_told(cond: Mapping[str, Any] | None, told: Collection[str]) -> None:
    """Raise ValueError if cond has a name that a network is not told."""
    for name in cond or ():
        if name not in told:
            known = ", ".join(sorted(told)) or "nothing"
            raise ValueError(f"this network is not told {name}: it is told {known}")


def refuse_conditions(conditions: Mapping[str, MakeEmbedding], own: Collection[str] = ()) -> None:
    """Raise ValueError if a network that takes no conditions is given some.

    Args:
        conditions: what makes the module of each, by name.
        own: names of those that it takes as they are in the data, and embeds itself.
    """
    if refused := conditions.keys() - set(own):
        names = ", ".join(sorted(refused))
        others = "use the network unet, dit, uvit, adm, edm2, mlp, set_transformer or egnn"
        raise ValueError(f"this network cannot be told {names}: {others}")
