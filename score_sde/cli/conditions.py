"""What a model is told of its data beside texts of prompts: --condition=NAME=VALUE."""

from __future__ import annotations

import difflib
import math
from pathlib import Path

import numpy as np

from score_sde import images
from score_sde.errors import UserError
from score_sde.fields import Field, decode_texts, encode_texts
from score_sde.files import expanded
from score_sde.runs.experiment import Experiment
from score_sde.spaces import levels


def value(experiment: Experiment, name: str, text: str) -> np.ndarray:
    """The value of a condition, of the field's shape and dtype.

    Args:
        experiment: of the model that is told it.
        name: of the field.
        text: the name or the number of a class, a number, numbers with commas, a text, or the file
            of an image or of a video, an animated PNG or WebP, which is resized.

    Raises:
        UserError: the model is not told it, or it cannot be.
    """
    if name not in experiment.conditions:
        told = ", ".join(experiment.conditions) or "nothing"
        near = difflib.get_close_matches(name, experiment.conditions, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise UserError(f"--condition={name}=...: {hint}this model is told {told}")
    field = experiment.data[name]
    if field.of_pixels:
        return _pixels(field, expanded(text))
    if field.kind == "text":
        try:
            field.check_words(text)
            return encode_texts([text], *field.shape)[0]
        except ValueError as error:
            raise UserError(f"--condition={name}: {error}") from error
    if field.kind == "label":
        try:
            return np.asarray(field.class_of(text), field.dtype)
        except ValueError as error:
            raise UserError(f"--condition={name}={text:.80}: {error}") from error
    found = _numbers(field, text)
    check_sizes(f"--condition={name}={text}", experiment, name, found)
    return found


def check_sizes(what: str, experiment: Experiment, name: str, values: np.ndarray) -> None:
    """Raise UserError if a condition says how many elements there are, and no example has as many.

    Args:
        what: says it, for the message.
        experiment: of the model.
        name: of the condition.
        values: of it.
    """
    if name not in experiment.space.subspace.conditions:
        return
    most = experiment.space.shape[0]
    if not ((values == np.round(values)) & (values >= 1) & (values <= most)).all():
        raise UserError(f"{what}: it is how many there are, 1 to {most}")


def words(field: Field, values: np.ndarray) -> list[str]:
    """What a condition says of each example, in words; [] where that takes more than a few.

    Args:
        field: of the condition.
        values: [n, *shape of the field].
    """
    if field.kind == "text":
        return decode_texts(values)
    if field.kind == "label" and field.names:
        return [field.names[label] for label in values]
    if field.kind in ("label", "number") and not field.shape:
        return [f"{field.name} {value:g}" for value in values]
    return []


def _pixels(field: Field, path: Path) -> np.ndarray:
    *frames, height, width, channels = field.shape
    if channels not in (1, 3):
        raise UserError(f"--condition={field.name}: {field.words} is in no file of an image")
    found = images.frames(path, math.prod(frames), (height, width), channels)
    return levels.nearest(found, field.values).reshape(field.shape)


def _numbers(field: Field, text: str) -> np.ndarray:
    name = field.name
    try:
        found = np.array([float(part) for part in text.strip("()[] ").split(",") if part.strip()])
        found = found.reshape(field.shape)
    except ValueError as error:
        size = "x".join(map(str, field.shape)) or "one"
        raise UserError(f"--condition={name}={text}: give {size} number(s)") from error
    if not (np.abs(found) <= np.finfo(np.float32).max).all():
        raise UserError(f"--condition={name}={text}: give finite numbers")
    return found.astype(field.dtype)
