"""How a run's drawing is guided: the rule of its section `guidance`, and what else that asks."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import jax

from score_sde import sections
from score_sde.errors import UserError
from score_sde.guidance import ClassifierFree, Rule
from score_sde.prediction import Denoiser, Prediction
from score_sde.runs import folder, identity
from score_sde.runs.experiment import Experiment
from score_sde.runs.opened import Opened, Run


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Weak:
    """A weaker model as one that is guided asks it: told of what it knows alone; a pytree.

    Attributes:
        denoise: its denoiser.
        conditions: what it is told.
    """

    denoise: Denoiser
    conditions: tuple[str, ...] = dataclasses.field(metadata={"static": True})

    def __call__(
        self, x: jax.Array, t: jax.Array, cond: Mapping[str, jax.Array] | None = None
    ) -> Prediction:
        """See prediction.Denoiser."""
        told = {name: cond[name] for name in self.conditions if name in (cond or {})}
        return self.denoise(x, t, told or None)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Guide:
    """Guides the denoiser of a model; a pytree, so that a weaker model is an argument under jit.

    Attributes:
        others: the other denoisers that the rule asks, by the names of its fields.
        rule: the rule.
    """

    others: dict[str, Weak]
    rule: Rule = dataclasses.field(metadata={"static": True})

    def denoiser(self, denoise: Denoiser) -> Denoiser:
        """The guided denoiser."""
        return self.rule.of(denoise, **self.others)


UNGUIDED = Guide({}, ClassifierFree(None))


@dataclasses.dataclass(frozen=True)
class Guided:
    """A guide, and what determines it.

    Attributes:
        guide: guides a model's denoiser.
        protocol: what determines that, as JSON values; empty if it changes nothing.
        words: the same for a message, beginning with a comma; empty if it changes nothing.
    """

    guide: Guide
    protocol: dict[str, Any]
    words: str = ""


def alone(experiment: Experiment) -> Guided:
    """How a model is guided while it is trained: by no weaker one, which may not be there yet."""
    rule = experiment.rule
    return _guided(dataclasses.replace(rule, scale=1.0) if rule.NEEDS_WEAK else rule)


def opened(run: Opened, section: Mapping[str, Any]) -> Guided:
    """How a run is guided.

    Args:
        run: the run; the rule of its experiment guides it.
        section: the section `guidance`, which says where a weaker model is.

    Raises:
        UserError: the weaker model cannot be opened, or is of something else.
    """
    rule = run.experiment.rule
    if rule.idle or not rule.NEEDS_WEAK:
        return _guided(rule)
    where = Path(section["run"] or run.workdir)
    try:
        weak = folder.load(where, weights=section["weights"], step=section["step"] or None)
    except UserError as error:
        raise UserError(f"config.guidance: {error}") from error
    check_same("config.guidance.run", weak, run.experiment)
    same = ("step", "weights", "weights_sha256")
    about = {name: value for name, value in identity.identity(weak).items() if name in same}
    return _guided(rule, {"weak": about}, weak=Weak(weak.denoise, weak.experiment.conditions))


def _guided(rule: Rule, about: Mapping[str, Any] = MappingProxyType({}), **others: Weak) -> Guided:
    if rule.idle:
        return Guided(UNGUIDED, {})
    options = {name: getattr(rule, name) for name in sections.entries(type(rule))}
    found = {"name": type(rule).__name__, **options, **about}
    words = f", guided by {type(rule).__name__} of scale {rule.scale:g}"
    if rule.interval:
        words += " where sigma / alpha is {:g} to {:g}".format(*rule.interval)
    return Guided(Guide(others, rule), {"guidance": found}, words)


def notes(experiment: Experiment) -> list[str]:
    """What there is to say of guiding a model."""
    rule, conditions = experiment.rule, experiment.config.conditions
    kinds = {experiment.data[name].kind for name in conditions.fields}
    dropouts = {f"conditions.{kind}.dropout": conditions[kind].dropout for kind in kinds}
    if experiment.text.field:
        dropouts["text.dropout"] = experiment.text.dropout
    guided = experiment.objective.draws and rule.NEEDS_CONDITION and not rule.idle
    if not guided or not dropouts or any(dropouts.values()):
        return []
    field = f"config.{min(dropouts)}"
    return [
        f"guidance compares with what the model knows of no condition, and with {field}=0 it "
        "learned nothing of that: train with 0.1"
    ]


def check_same(field: str, other: Run, ours: Experiment, process: bool = True) -> None:
    """Raise UserError unless another model is of the same process, space and conditions.

    Args:
        field: of the config that names the other model's run.
        other: that run.
        ours: the model.
        process: whether the process must be the same too.
    """
    theirs, named = other.experiment, f"{field}={other.workdir}"
    facts = [
        (
            *([("the process", e.sde)] if process else []),
            ("the shape", e.space.shape),
            ("states", e.space.states),
        )
        for e in (ours, theirs)
    ]
    for (what, mine), (_, its) in zip(*facts, strict=True):
        if mine != its:
            sections = f"{'config.sde, ' if process else ''}config.space and config.data"
            raise UserError(
                f"{named} is of {what} {its}, the model of {mine}: give one with the model's "
                f"{sections}"
            )
    for name in theirs.conditions:
        if name not in ours.conditions:
            raise UserError(f"{named} is told {name}, and the model is not")
        if differs := theirs.data[name].differs(ours.data[name]):
            its, mine = differs
            raise UserError(f"{named} was trained on {its}, the model on {mine}")
