"""From a config to the objects that it names. Each family reads its own section."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

from jax.sharding import Mesh
from ml_collections import ConfigDict

from score_sde import models, processes, sections, spaces
from score_sde.data import Info, selection
from score_sde.errors import UserError, first_line
from score_sde.fields import Field
from score_sde.guidance import Rule
from score_sde.models import placing
from score_sde.models.functional import functional
from score_sde.objectives import Objective
from score_sde.prediction import PredictionOptions
from score_sde.processes import SDE
from score_sde.prompting import System
from score_sde.runs import conditioning, learning, sampling, sources, widths
from score_sde.runs.config import check_fields
from score_sde.runs.experiment import Experiment, Make
from score_sde.samplers import Sampler
from score_sde.spaces import Space
from score_sde.training.options import OptimOptions, TrainingOptions
from score_sde.training.sharding import make_mesh


def mesh(config: ConfigDict) -> Mesh:
    """The devices that train, as the section `training` has them.

    Raises:
        UserError: they cannot be divided so.
    """
    check_fields(config)
    return make_mesh(config.training.fsdp, config.training.tensor, "config.training")


def experiment(config: ConfigDict, info: Info, mesh: Mesh | None = None) -> Experiment:
    """Read a config.

    Args:
        config: see runs.config.default.
        info: what is known of the data set that it names.
        mesh: the devices that share the arrays of its network; None for one device.

    Raises:
        UserError: a value is unknown or cannot work.
    """
    try:
        return _experiment(config, info, mesh)
    except UserError:
        raise
    except ValueError as error:  # the classes below check their own arguments
        raise UserError(first_line(error)) from error


def networks(config: ConfigDict) -> list[str]:
    """The networks that can take the place of a config's, for its data, space and objective.

    Args:
        config: the config; its data need not be there.

    Raises:
        UserError: it cannot work, or nothing is known of its data.
    """
    try:
        parts = _read(config, selection.read(config.data).describe())
    except UserError:
        raise
    except ValueError as error:
        raise UserError(first_line(error)) from error
    return models.fitting(parts.given, parts.facts)


class _Parts(NamedTuple):
    """What a config says of a network.

    Attributes:
        field: what is modelled.
        space: what the model sees of it.
        process: the forward process.
        predicts: what the output of the network means.
        trained: the objective.
        draw: the sampler.
        guiding: the rule of guidance.
        text: how it is told of prompts.
        answers: the fields that the network is to find.
        given: arguments that it may be given; see models.read.
        facts: those that it must take.
    """

    field: Field
    space: Space
    process: SDE
    predicts: PredictionOptions
    trained: Objective
    draw: Sampler
    guiding: Rule
    text: System
    answers: tuple[str, ...]
    given: dict[str, Any]
    facts: dict[str, Any]


def _read(config: ConfigDict, info: Info) -> _Parts:
    check_fields(config)
    field = sources.modelled(config, info)
    space = spaces.read(config.space, field).tiled(config.sampling.tile)
    process = processes.read(config.sde)
    predicts = PredictionOptions(**sections.own(PredictionOptions, config.model))
    trained = learning.objective(config, process, space)
    draw, guiding = sampling.sampler(config.sampling), sampling.rule(config.guidance)
    text = conditioning.prompts(config, info)
    if trained.draws:
        sampling.check_sampler(draw, process, trained.TRAINS)
        guided_to = sampling.guided_to(config.conditions.fields, text)
        sampling.check_rule(guiding, guided_to, draw, trained)
    trained.reader(predicts, process)  # checked before any network is built

    answers = (field.name, *trained.fields)
    told = conditioning.told(config, info, answers, trained, space)
    facts = learning.facts(config, info, trained)
    learning.check(trained, config, told)
    sampling.check_variance(draw, config.sampling.sampler, facts)
    given = {
        "shape": space.shape,
        "conditions": told,
        "noise_label": predicts.noise_label,
        "num_scales": process.scales,
        "learn_variance": False,
        **space.facts,
    }
    return _Parts(
        field, space, process, predicts, trained, draw, guiding, text, answers, given, facts
    )


def _experiment(config: ConfigDict, info: Info, mesh: Mesh | None) -> Experiment:
    parts = _read(config, info)
    given, facts = parts.given, parts.facts
    module = models.read(config.model, given, facts)
    try:
        network = functional(module)  # abstractly, which checks its arguments
    except ValueError as error:
        other = models.instead(config.model.name, given, facts)
        raise UserError(f"config.model: {first_line(error)}{other}") from error
    adapter = learning.adapter(config, info, parts.answers)
    of_base = functools.partial(models.read, given=given, wanted=facts)
    network, rates = widths.widened(config, network, module, of_base, adapter.said)
    network, own = learning.with_own(adapter.adapted(network), config, parts.trained)
    if mesh is not None:
        network, own = network.on(mesh), own and placing.on(mesh, own)

    return Experiment(
        config=config,
        data=info,
        field=parts.field,
        space=parts.space,
        conditions=(*config.conditions.fields, *adapter.told),
        sde=parts.process,
        module=module,
        network=network,
        make=Make(
            network.apply, parts.trained, parts.process, parts.predicts, parts.space.subspace
        ),
        own=own,
        objective=parts.trained,
        sampler=parts.draw,
        rule=parts.guiding,
        text=parts.text,
        training=TrainingOptions(**sections.own(TrainingOptions, config.training)),
        adapter=adapter,
        optim=OptimOptions(**config.optim),
        rates=rates,
    )
