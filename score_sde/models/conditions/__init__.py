"""Conditions: what a network is told of an example, and what embeds it. One kind a file."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from score_sde.fields import Field
from score_sde.models.conditions.base import Condition
from score_sde.models.conditions.beside import Image, Video
from score_sde.models.conditions.combined import Embeddings, Make, MakeEmbedding
from score_sde.models.conditions.label import Label
from score_sde.models.conditions.number import Number
from score_sde.models.conditions.text import Text
from score_sde.models.conditions.vector import Vector

__all__ = [
    "CONDITIONS",
    "Condition",
    "Embeddings",
    "Image",
    "Label",
    "Make",
    "MakeEmbedding",
    "Number",
    "Text",
    "Vector",
    "Video",
    "read",
]

# By the kind of field that they embed, and the section of a config.
CONDITIONS: dict[str, type[Condition]] = {
    "image": Image,
    "label": Label,
    "number": Number,
    "text": Text,
    "vector": Vector,
    "video": Video,
}


def read(
    section: Mapping[str, Any], find: Callable[[str], Field], answers: Collection[str]
) -> dict[str, MakeEmbedding]:
    """What makes the embedding of each condition that a section `conditions` of a config names.

    Args:
        section: names of fields, and options for each kind.
        find: the field of a name.
        answers: fields that a model is not told: what it draws or predicts.

    Returns:
        By the name of the field.

    Raises:
        ValueError: a field cannot be a condition, or an option cannot work.
    """
    names: Sequence[str] = section["fields"]
    found: dict[str, MakeEmbedding] = {}
    if len(set(names)) < len(names):
        raise ValueError(f"config.conditions.fields={tuple(names)} names a field twice")
    for name in names:
        if name in answers:
            raise ValueError(f"config.conditions.fields: {name} is what the model is to find")
        field = find(name)
        if field.kind not in CONDITIONS:
            raise ValueError(
                f"config.conditions.fields: {name} is of kind {field.kind}; conditions are of kind "
                f"{', '.join(CONDITIONS)}"
            )
        options = CONDITIONS[field.kind](**section[field.kind])
        found[name] = Make(options, field)
    return found
