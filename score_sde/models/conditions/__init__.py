"""Conditions: what a network is told of an example, and what embeds it. One kind a file."""

from score_sde.models.conditions.base import Condition as Condition
from score_sde.models.conditions.combined import Embeddings as Embeddings
from score_sde.models.conditions.combined import MakeEmbedding as MakeEmbedding
from score_sde.models.conditions.label import Label as Label
from score_sde.models.conditions.number import Number as Number
from score_sde.models.conditions.vector import Vector as Vector

# By the kind of field that they embed, and the section of a config.
CONDITIONS: dict[str, type[Condition]] = {
    "label": Label,
    "number": Number,
    "vector": Vector,
}
