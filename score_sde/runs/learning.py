"""What is trained, as a config has it: the objective, what it learns itself, and an adapter."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
from ml_collections import ConfigDict

from score_sde import models, objectives
from score_sde.data import Info
from score_sde.errors import UserError
from score_sde.models import conditions
from score_sde.models.adapter import Adapter
from score_sde.models.control import Control
from score_sde.models.functional import Arrays, Functional, beside, functional
from score_sde.models.lora import LoRA
from score_sde.noise_labels import NOISE_LABELS
from score_sde.objectives import Objective
from score_sde.processes import SDE
from score_sde.runs import sources
from score_sde.spaces import Space


def objective(config: ConfigDict, process: SDE, space: Space | None = None) -> Objective:
    """The objective that the section `objective` names, for a process.

    Args:
        config: the config.
        process: the process.
        space: of the data; None where they are not known, and it is not for use.

    Raises:
        UserError: there is none, or an option cannot work.
    """
    try:
        of_data = {"values": space and space.values, "shape": space and space.shape}
        facts = space.facts if space else {}
        given = {"sigma_data": config.model.sigma_data, **of_data, **facts}
        found = objectives.read(config.objective, given)
    except ValueError as error:
        raise UserError(str(error)) from error
    parts = {"objective": found, "sde": process} | ({} if space is None else {"space": space})
    if len({part.STATES for part in parts.values()}) > 1:
        said = (
            f"config.{name}.name={config[name].name} is of {p.STATES}" for name, p in parts.items()
        )
        raise UserError(f"these do not go together: {', '.join(said)}")
    try:
        found.check(process)
    except ValueError as error:
        raise UserError(f"config.objective: {error}") from error
    return found


def facts(config: ConfigDict, info: Info, trained: Objective) -> dict[str, Any]:
    """What an objective says of the network that it trains; see Objective.facts.

    Raises:
        UserError: it needs a field that the data set lacks.
        ValueError: a field is of a kind that does not go.
    """
    option = f"objective.{config.objective.name}.field"
    return trained.facts({name: sources.named(info, option, name) for name in trained.fields})


def check(
    trained: Objective, config: ConfigDict, told: Mapping[str, conditions.MakeEmbedding]
) -> None:
    """Raise UserError if an objective cannot train a network.

    Args:
        trained: the objective.
        config: of the network.
        told: what embeds what it is told; see runs.conditioning.
    """
    name, output = config.objective.name, config.model.parametrization
    if output in trained.REFUSES:
        raise UserError(
            f"config.model.parametrization={output} does not go with config.objective.name={name}: "
            "what it trains has to be the identity without noise, as by eps, v, velocity or edm"
        )
    kinds = {
        of: (make.field.kind, make.options.dropout)
        if isinstance(make, conditions.Make)
        else ("numbers", 0.0)
        for of, make in told.items()
        if of not in trained.NUMBERS
    }
    try:
        trained.check_conditions(kinds)
    except ValueError as error:
        raise UserError(f"config.objective.{name}: {error}") from error


def with_own(
    network: Functional, config: ConfigDict, trained: Objective
) -> tuple[Functional, Callable[..., Any] | None]:
    """A network with what its objective learns beside it, and that; see Experiment.own."""
    make = trained.module()
    if make is None:
        return network, None
    method = trained.IN_NETWORK
    if not (method and hasattr(models.NETWORKS[config.model.name], method)):
        return beside(network, functional(make), objectives.OWN)
    label = NOISE_LABELS[config.model.noise_label]

    def own(params: Arrays, constants: Arrays, process: SDE, t: jax.Array) -> jax.Array:
        return network.apply(params, constants, label(process, t), method=method)

    return network, own


def adapter(config: ConfigDict, info: Info, answers: Sequence[str]) -> Adapter:
    """What is trained beside a network whose own arrays stay as they are; nothing by default.

    Args:
        config: the config.
        info: what is known of the data set.
        answers: fields that the network is to find.

    Raises:
        UserError: there are two, or it cannot be told of its field.
    """
    name = config.training.control.field
    field = sources.named(info, "training.control.field", name) if name else None
    if field and (name in answers or name in config.conditions.fields or field.kind != "image"):
        raise UserError(
            f"config.training.control.field={name}: it is an image of the data beside the one that "
            "is drawn and what the network is told"
        )
    control = Control(name, field)
    found = [one for one in (LoRA(**config.training.lora), control) if one.said]
    if len(found) > 1:
        raise UserError(f"{found[0].said} and {found[1].said}: train one of them")
    return found[0] if found else LoRA()
