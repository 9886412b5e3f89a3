"""What a model is told of its data beside texts of prompts: --condition=NAME=VALUE."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from score_sde import images
from score_sde.errors import UserError
from score_sde.fields import Field, encode_texts
from score_sde.runs.experiment import Experiment


def value(experiment: Experiment, name: str, text: str) -> np.ndarray:
    """The value of a condition, of the field's shape and dtype.

    Args:
        experiment: of the model that is told it.
        name: of the field.
        text: a class, a number, numbers with commas, a text, or the file of an image, which is
            resized.

    Raises:
        UserError: the model is not told it, or it cannot be.
    """
    if name not in experiment.conditions:
        told = ", ".join(experiment.conditions) or "nothing"
        raise UserError(f"--condition={name}=...: this model is told {told}")
    field = experiment.data[name]
    if field.kind == "image":
        return _image(field, Path(text))
    if field.kind == "text":
        try:
            return encode_texts([text], *field.shape)[0]
        except ValueError as error:
            raise UserError(f"--condition={name}: {error}") from error
    return _numbers(field, text)


def _image(field: Field, path: Path) -> np.ndarray:
    height, width, channels = field.shape
    if field.values != 256 or channels not in (1, 3):
        raise UserError(f"--condition={field.name}: {field.words} is in no file of an image")
    return images.resized(path, (height, width), channels)


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
    if field.values and (found != found.round()).any():
        raise UserError(f"--condition={name}={text}: give whole numbers")
    if field.kind == "label" and not 0 <= found < field.values:
        raise UserError(f"--condition={name}={text}: labels are 0 to {field.values - 1}")
    return found.astype(field.dtype)
