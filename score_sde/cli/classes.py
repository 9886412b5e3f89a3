"""--task=class: samples of classes, which the model is told, or to which a classifier leads."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from ml_collections import ConfigDict

from score_sde.cli.flags import Options
from score_sde.cli.question import Question
from score_sde.errors import UserError
from score_sde.guidance.task import Guided, Task
from score_sde.objectives import Classification
from score_sde.runs import folder
from score_sde.runs.experiment import Experiment


def ask(
    options: Options,
    config: ConfigDict,
    experiment: Experiment,
    number: int,
    given: Mapping[str, np.ndarray],
) -> Question:
    """The question; see questions.TASKS."""
    labels = [n for n in experiment.conditions if experiment.data[n].kind == "label"]
    if options.classifier is None:
        if not labels:
            raise UserError(f"--task=class: this model is told no classes{_instead(experiment)}")
        task, field = Task(), experiment.data[labels[0]]
    else:
        guide = folder.load_classifier(options.classifier)
        _check_guide(options.classifier, guide.experiment, experiment)
        field = guide.label
        task = Guided(guide.log_prob, options.scale, field.name, field.name in labels)
    if options.label is None:
        classes, columns = np.arange(number) % field.values, field.values
    else:
        try:
            classes, columns = np.full(number, field.class_of(str(options.label))), None
        except ValueError as error:
            raise UserError(f"--label={options.label!s:.80}: {error}") from error
    cond = {field.name: classes.astype(field.dtype)}
    return Question(task, cond, experiment.field.name, name="class", columns=columns)


def _instead(experiment: Experiment) -> str:
    """What there is in their place, by the data and by what the model draws."""
    there = [field.name for field in experiment.data.fields if field.kind == "label"]
    if not there:
        told = [f"--condition={name}=VALUE" for name in experiment.conditions]
        how = f": say what is asked for by {' and '.join(told)}" if told else ""
        return f", and the data {experiment.data.name} have none{how}"
    one = f". Train one that is, by config.conditions.fields=('{there[0]}',)"
    if experiment.space.STATES != Classification.STATES:
        return one
    return (
        f"{one}; or a classifier, by config.objective.name=classification and "
        f"config.objective.classification.field={there[0]} as configs/digits_classifier.py, and "
        "give its folder as --classifier=DIR"
    )


def _check_guide(path: str, guide: Experiment, experiment: Experiment) -> None:
    """Raise UserError unless a classifier knows the noisy examples of a model."""
    label = guide.objective.field
    ours = experiment.data[label].values if label in experiment.data else None
    facts = [
        (e.sde, e.space.shape, classes, e.space.states)
        for e, classes in ((guide, guide.data[label].values), (experiment, ours))
    ]
    for theirs, mine in zip(*facts, strict=True):
        if theirs != mine:
            raise UserError(
                f"--classifier={path} was trained for {theirs}, the model for {mine}: "
                "train a classifier with the model's config.sde, config.space and config.data"
            )
    if differs := guide.data[label].differs(experiment.data[label]):
        theirs, mine = differs
        raise UserError(f"--classifier={path} was trained on {theirs}, the model on {mine}")
