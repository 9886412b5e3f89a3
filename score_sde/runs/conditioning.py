"""What a network is told, as a config has it: of its data, of prompts, and what else it needs."""

from __future__ import annotations

import functools
from collections.abc import Sequence

from ml_collections import ConfigDict

from score_sde import prompting, spaces
from score_sde.data import Info
from score_sde.errors import UserError
from score_sde.fields import Field
from score_sde.models import conditions
from score_sde.models.conditions.augment import AUGMENT, AugmentEmbedding
from score_sde.objectives import Objective
from score_sde.prompting import System
from score_sde.runs import sources
from score_sde.spaces import Space

Told = dict[str, conditions.MakeEmbedding]


def told(
    config: ConfigDict, info: Info, answers: Sequence[str], trained: Objective, space: Space
) -> Told:
    """What embeds each thing that a network is told beside its state and the noise, by name.

    Args:
        config: the config.
        info: what is known of the data set.
        answers: fields that the network is not to be told: it is to find them.
        trained: the objective, which may tell it of numbers.
        space: what it sees, which may tell it how examples are distorted.

    Raises:
        UserError: it cannot be told so.
    """
    named = functools.partial(sources.named, info, "conditions.fields")
    fields = config.conditions.fields
    for name in space.subspace.conditions:
        if name not in fields:
            raise UserError(
                f"config.conditions.fields: the space tells by {name} where states lie, and the "
                f"network has to be told it: add {name}"
            )
    of_data = conditions.read(config.conditions, named, answers)
    return of_data | _numbers(trained, fields) | _distortions(space, fields)


def _numbers(trained: Objective, fields: Sequence[str]) -> Told:
    """Of the numbers that an objective tells."""
    for name in trained.NUMBERS:
        if name in fields:
            raise UserError(
                f"config.conditions.fields: {name} is what this objective tells the network "
                "itself: give the field of the data another name"
            )
    return {
        name: functools.partial(conditions.Number().embedding, Field(name, "number"))
        for name in trained.NUMBERS
    }


def _distortions(space: Space, fields: Sequence[str]) -> Told:
    """Of how an example was distorted; nothing where none is."""
    if space.told and AUGMENT in fields:
        raise UserError(
            f"config.conditions.fields: {AUGMENT} is what this space tells the network itself: "
            "give the field of the data another name"
        )
    return {AUGMENT: functools.partial(AugmentEmbedding, space.told)} if space.told else {}


def prompts(config: ConfigDict, info: Info) -> System:
    """How a model is told of prompts: as the config says, or else as it is told of its data.

    Raises:
        UserError: it cannot be.
    """
    found = prompting.read(config.text)
    if found.field:
        if not found.ENCODERS:
            raise UserError(
                f"config.text.field={found.field} is for a model that encoders tell of prompts, "
                f"and config.text.name={config.text.name} has none: leave it out, or name it in "
                "config.conditions.fields"
            )
        if (kind := sources.named(info, "text.field", found.field).kind) != "text":
            raise UserError(f"config.text.field={found.field} is a field of kind {kind}, not text")
    named = functools.partial(sources.named, info, "conditions.fields")
    texts = [name for name in config.conditions.fields if named(name).kind == "text"]
    # Prompts are of pictures; other samples are told a text as --condition.
    if found.prompts or not texts or not spaces.SPACES[config.space.name].IMAGES:
        return found
    (most,), words = info[texts[0]].shape, config.conditions.text.words
    return prompting.OfField(name=texts[0], most=most, words=words)
