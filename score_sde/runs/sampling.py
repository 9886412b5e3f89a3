"""What draws samples, as a config has it: the sampler, the rule of guidance, and what fits them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ml_collections import ConfigDict

from score_sde import guidance, objectives, samplers
from score_sde.errors import UserError
from score_sde.fields import NUMBERS
from score_sde.objectives import Objective
from score_sde.processes import SDE
from score_sde.prompting import System
from score_sde.runs.experiment import Experiment


def sampler(section: Mapping[str, Any]) -> samplers.Sampler:
    """The sampler that the section `sampling` names.

    Raises:
        UserError: there is none, or an option cannot work.
    """
    try:
        return samplers.read(section)
    except ValueError as error:
        raise UserError(f"config.sampling: {error}") from error


def check_sampler(sampler: samplers.Sampler, process: SDE, trained: str) -> None:
    """Raise UserError if a sampler cannot work for a process, or for what was trained.

    Args:
        sampler: the sampler.
        process: the process.
        trained: what the model is; see objectives.Objective.TRAINS.
    """
    try:
        sampler.check_states(process)
        sampler.check(process)
    except ValueError as error:
        raise UserError(f"config.sampling: {error}") from error
    if sampler.JUMPS and trained == objectives.DENOISER:
        raise UserError(
            "config.sampling.sampler=jump takes the steps of a flow map, and this model is a "
            "denoiser: use dpmpp_2m, or train config.objective.name=mean_flow, shortcut or ect"
        )
    if not sampler.JUMPS and trained == objectives.CONSISTENCY:
        raise UserError(
            "config.sampling.sampler: a consistency model knows where paths end and not how they "
            "go on, which this sampler asks: use config.sampling.sampler=jump"
        )
    if sampler.JUMPS and trained == objectives.CONSISTENCY and sampler.only_composes:
        raise UserError(
            f"config.sampling.jump.eta={sampler.eta:g}: a consistency model jumps to the data "
            "alone, so that more steps need all of the noise again: leave eta out, or give 1"
        )


def check_variance(sampler: samplers.Sampler, name: str, facts: Mapping[str, Any]) -> None:
    """Raise UserError if a sampler uses a variance that a model has not learnt.

    Args:
        sampler: the sampler.
        name: of it.
        facts: what the objective says of the model; see runs.learning.
    """
    if sampler.NEEDS_VARIANCE and not facts.get("learn_variance"):
        raise UserError(
            f"config.sampling.sampler={name} uses a variance that the model has learnt: train "
            "with config.objective.denoising.learned_variance=True"
        )


def drawing(config: ConfigDict, draw: samplers.Sampler) -> Callable[[Experiment], Experiment]:
    """How a config has a model drawn from: by this sampler and its rule, in place of the model's.

    Returns:
        From an experiment to the same that is drawn from so; UserError if it cannot be.

    Raises:
        UserError: there is no such rule, or an option cannot work.
    """
    guiding = rule(config.guidance)

    def change(experiment: Experiment) -> Experiment:
        check_sampler(draw, experiment.sde, experiment.objective.TRAINS)
        if experiment.objective.draws:
            told = guided_to(experiment.conditions, experiment.text)
            check_rule(guiding, told, draw, experiment.objective)
        space = experiment.space.tiled(config.sampling.tile)
        return dataclasses.replace(experiment, sampler=draw, rule=guiding, space=space)

    return change


def guided_to(fields: Sequence[str], text: System) -> tuple[str, ...]:
    """What a model can be guided to."""
    return (*fields, *(["text"] if text.ENCODERS else []))


def rule(section: Mapping[str, Any]) -> guidance.Rule:
    """The rule that the section `guidance` names.

    Raises:
        UserError: an option cannot work.
    """
    try:
        found = guidance.read(section)
    except ValueError as error:
        raise UserError(f"config.guidance: {error}") from error
    if found.NEEDS_WEAK and not found.idle and not (section["run"] or section["step"]):
        raise UserError(
            f"config.guidance.name={section['name']} needs a weaker model: give the folder of its "
            "run as config.guidance.run, or an earlier checkpoint of this run as "
            "config.guidance.step"
        )
    return found


def check_rule(
    rule: guidance.Rule,
    conditions: Sequence[str],
    sampler: samplers.Sampler,
    trained: Objective,
) -> None:
    """Raise UserError if a model told these conditions cannot be drawn from by a rule so.

    Args:
        rule: the rule.
        conditions: names of those of the data.
        sampler: what draws.
        trained: the model's objective.
    """
    if rule.of_numbers and not rule.idle and trained.STATES != NUMBERS:
        raise UserError(
            f"this guidance is of {NUMBERS}, and this model draws {trained.STATES}: use "
            "config.guidance.name=classifier_free, and config.guidance.rescale=0"
        )
    if rule.TELLS and not rule.idle and rule.TELLS not in trained.NUMBERS:
        raise UserError(
            f"config.guidance.scale={rule.scale:g}: this model was not taught to be told a scale: "
            "use config.guidance.name=classifier_free, or train "
            "config.objective.name=guidance_distillation"
        )
    if unknown := sorted(set(getattr(rule, "keeps", ())) - set(conditions)):
        raise UserError(
            f"config.guidance.keeps: this model is told {', '.join(conditions) or 'nothing'}, and "
            f"no {unknown[0]}"
        )
    if sampler.JUMPS and not rule.idle:
        raise UserError(
            f"config.guidance.scale={rule.scale:g}: guidance bends the path and a jump does not "
            "follow it: train with config.objective.mean_flow.guidance, or leave this out"
        )
    if rule.NEEDS_CONDITION and not rule.idle and not conditions:
        raise UserError(
            f"config.guidance.scale={rule.scale:g}: this model knows no condition to be guided to "
            "(config.conditions.fields names none). Train one that does, such as "
            "configs/digits_cfg.py, or set config.guidance.scale=1, which is without guidance"
        )
