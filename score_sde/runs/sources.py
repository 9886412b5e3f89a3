"""The data of a run: the splits that a config names, and the fields that its options name."""

from __future__ import annotations

from collections.abc import Callable

from ml_collections import ConfigDict

from score_sde import spaces
from score_sde.data import DataError, Info, Source, selection
from score_sde.errors import UserError
from score_sde.fields import Field
from score_sde.runs.experiment import Experiment


def split(config: ConfigDict, name: str) -> Source:
    """A split, such as "train" or "test", of the data set that the section `data` names.

    Raises:
        DataError: it cannot be found; SplitError if it has no such split.
    """
    return selection.read(config.data).open(name)


def to_train(config: ConfigDict, say: Callable[[str], None]) -> Source:
    """The examples that are trained on; see DataOptions.open_to_train.

    Raises:
        DataError: it cannot be found.
    """
    return selection.read(config.data).open_to_train(say)


def matching(config: ConfigDict, name: str, experiment: Experiment, who: str) -> Source:
    """A split as of `split`, whose examples mean what those mean that a model was trained on.

    Args:
        config: where the section `data` says where they are.
        name: of the split.
        experiment: of the model.
        who: the model, for the message.

    Raises:
        DataError: it cannot be found, or lacks a field that the model needs.
        UserError: a field of it has another shape, other values, or other names of classes.
    """
    found = split(config, name)
    needed = (experiment.field.name, *experiment.conditions, *experiment.objective.fields)
    needed += (experiment.text.field,) if experiment.text.field else ()
    for field in dict.fromkeys(needed):
        if differs := experiment.data[field].differs(found.info[field]):
            ours, theirs = differs
            raise UserError(
                f"{who} was trained on {ours}, and the {name} examples of {found.info.name} have "
                f"{theirs}"
            )
    return found


def modelled(config: ConfigDict, info: Info) -> Field:
    """The field of a data set that is modelled.

    Raises:
        UserError: it has none that the space of a config is for, or several.
    """
    kinds, name = spaces.kinds(config.space), config.data.field
    try:
        return info.of_kinds(kinds, name)
    except DataError as error:
        option = f"data.field={name}" if name else f"space.name={config.space.name}"
        raise UserError(f"config.{option}: {error}") from None


def named(info: Info, option: str, name: str) -> Field:
    """The field of a data set that an option names.

    Raises:
        UserError: it has no such field.
    """
    try:
        return info[name]
    except DataError as error:
        raise UserError(f"config.{option}: {error}") from None
