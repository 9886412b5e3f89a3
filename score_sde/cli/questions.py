"""From the flags of `--mode=sample` to a question, by the task that they name."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from score_sde.cli import (
    classes,
    conditions,
    defined,
    held_out,
    infilled,
    motifs,
    observed,
    redrawn,
)
from score_sde.cli.flags import Options
from score_sde.cli.question import Question
from score_sde.data import Source
from score_sde.errors import UserError
from score_sde.guidance.task import Task
from score_sde.runs import sources
from score_sde.runs.experiment import Experiment
from score_sde.runs.generate import at_random, borrowed

_TEXT = "text"  # what encoders are asked of
_PAIRED = 8  # columns of samples with real examples

# What asks, of the flags, the config, the model, how many examples and what it is told besides,
# [number, ...] each, the question of a task.
TASKS: Mapping[
    str, Callable[[Options, ConfigDict, Experiment, int, Mapping[str, np.ndarray]], Question]
] = {
    "class": classes.ask,
    "infill": infilled.ask,
    "motif": motifs.ask,
    "shallow": redrawn.ask,
    **dict.fromkeys(("inpaint", "colorize", "superres"), observed.ask),
}


def number(options: Options, asked: int | None, config: ConfigDict, experiment: Experiment) -> int:
    """How many examples: as many as are asked for, or are to be drawn anew, or as the config says.

    Raises:
        UserError: the file of predictions cannot be read, or has fewer.
    """
    if options.predictions:
        return redrawn.number(options.predictions, asked, experiment)
    return config.sampling.num_samples if asked is None else asked


def ask(
    options: Options,
    config: ConfigDict,
    experiment: Experiment,
    number: int,
    texts: Callable[[str], Mapping[str, Any]] | None = None,
) -> Question:
    """Make the question.

    Args:
        options: what the flags say.
        config: where the section `data` says where examples are.
        experiment: of the model that is asked.
        number: how many examples.
        texts: what tells the model of a text by encoders; None for none.

    Raises:
        UserError: the model, the classifier or the data cannot answer it.
    """
    if experiment.sampler.JUMPS and (
        options.task in defined.OBSERVED or options.classifier is not None
    ):
        raise UserError(
            "config.sampling.sampler=jump takes a path in one step, and what is asked bends it on "
            "the way: give --config.sampling.sampler=dpmpp_2m, of a model that is a denoiser too"
        )
    said = dict(options.conditions)
    text = said.pop(_TEXT, "") if texts else ""
    given = {
        name: np.repeat(conditions.value(experiment, name, value)[None], number, axis=0)
        for name, value in said.items()
    }
    question = Question(Task(), {}, experiment.field.name)
    if options.task:
        question = TASKS[options.task](options, config, experiment, number, given)
    twice = sorted(given.keys() & question.cond.keys())
    if twice and options.label is not None:
        raise UserError(
            f"--condition={twice[0]}=... and --label={options.label!s:.80}: give one of them"
        )
    split = config.sampling.told_of
    lenders = functools.partial(sources.matching, config, split, experiment, held_out.WHO)
    missing = set(experiment.conditions) - question.cond.keys() - given.keys()
    if config.sampling.beside:
        question = _beside(question, given, experiment, lenders, number, config.sampling.seed)
    elif missing:
        found = borrowed(experiment, lenders, number, config.sampling.seed)
        question = dataclasses.replace(question, cond={**found, **question.cond})
    asked = dataclasses.replace(question, cond={**question.cond, **given})
    if texts:
        told = {name: np.repeat(np.asarray(a), number, axis=0) for name, a in texts(text).items()}
        asked = dataclasses.replace(asked, text=text, encoded=told)
    _check_room(asked, experiment)
    return asked


def _beside(
    question: Question,
    given: Mapping[str, np.ndarray],
    experiment: Experiment,
    lenders: Callable[[], Source],
    number: int,
    seed: int,
) -> Question:
    """The question of samples that are told what some examples are, which stand beside them.

    Raises:
        UserError: something else says what they are told, or nothing does.
    """
    something = any(array is not None for array in (question.known, question.predicted))
    if given or question.cond or something or not experiment.conditions:
        raise UserError(
            "config.sampling.beside=True is of samples that are told what examples of the data "
            "are: leave out --task and --condition, of a model that is told something"
        )
    found = at_random(lenders(), number, seed)
    real = np.asarray(experiment.space.viewed(found[experiment.field.name]))
    cond = {name: found[name] for name in experiment.conditions}
    return dataclasses.replace(question, cond=cond, real=real, columns=_PAIRED)


def _check_room(question: Question, experiment: Experiment) -> None:
    """Raise UserError if examples are smaller than what is known of them says."""
    if question.part is None or not experiment.space.subspace.conditions:
        return
    shape = (len(question.known), *experiment.space.shape)
    there = experiment.space.subspace.there(jax.ShapeDtypeStruct(shape, np.float32), question.cond)
    known = question.part.reshape(*question.part.shape[:2], -1).any(axis=-1)
    if (over := known & ~np.asarray(there)).any():
        (size,) = experiment.space.subspace.conditions
        least = 1 + int(np.nonzero(over.any(axis=0))[0].max())
        raise UserError(
            f"--task={question.name}: {least} are asked for, and samples that are told {size} have "
            f"less: give --condition={size}=N of at least {least}"
        )
