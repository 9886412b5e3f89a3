"""From a config to the objects that it names. Each family reads its own section."""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from ml_collections import ConfigDict

from score_sde import objectives, processes, samplers, sections, spaces
from score_sde.checks import check_name
from score_sde.classifier import Classifier
from score_sde.data import Info, Source, selection
from score_sde.errors import UserError
from score_sde.fields import Field
from score_sde.models import NETWORKS
from score_sde.models.conditions import CONDITIONS
from score_sde.models.functional import Arrays, Functional, functional
from score_sde.objectives import Objective
from score_sde.prediction import NOISE_LABELS, PARAMETRIZATIONS, Denoiser, from_network
from score_sde.processes import SDE
from score_sde.runs.config import DERIVED, ModelOptions, flatten
from score_sde.spaces import Space
from score_sde.training.options import OptimOptions, TrainingOptions

# (parameters, constants, dropout key or None) -> what the objective trains.
Make = Callable[..., Denoiser | Classifier]


@dataclasses.dataclass(frozen=True)
class Experiment:
    """Everything that a config names, ready to use. No array of a network has been made yet.

    Attributes:
        config: the config itself, for the record.
        data: what is known of the data set.
        field: of the data set, what is modelled.
        space: what the model sees of it.
        conditions: names of the fields that the network is told.
        sde: the forward process.
        module: makes the network of random streams.
        network: the network as a pure function.
        make: makes of the network's arrays what the objective trains.
        objective: what is trained.
        sampler: what draws from it.
        training: the section `training`.
        optim: the section `optim`.
    """

    config: ConfigDict
    data: Info
    field: Field
    space: Space
    conditions: tuple[str, ...]
    sde: SDE
    module: Callable[[nnx.Rngs], nnx.Module]
    network: Functional
    make: Make
    objective: Objective
    sampler: samplers.Sampler
    training: TrainingOptions
    optim: OptimOptions

    @property
    def parameters(self) -> int:
        """How many trainable parameters the network has."""
        return sum(array.size for array in self.network.shapes[0].values())

    @property
    def seed(self) -> int:
        """Of everything random in training."""
        return self.config.seed

    @property
    def evaluation_batch_size(self) -> int:
        """Examples a batch of the held-out loss, over all devices."""
        return self.config.evaluation.batch_size

    @property
    def picture_size(self) -> int:
        """Examples in a picture drawn during training."""
        return min(64, self.config.sampling.num_samples)

    def loss(
        self,
        key: jax.Array,
        params: Arrays,
        constants: Arrays,
        space: Space,
        batch: Mapping[str, jax.Array],
        train: bool,
    ) -> jax.Array:
        """The loss of each example of a batch, with augmentation and dropout when it trains.

        See training.step.LossFunction.
        """
        key_augment, key_encode, key_loss, key_dropout = jax.random.split(key, 4)
        examples = batch[self.field.name]
        if train:
            examples = space.augment(key_augment, examples)
        names = dict.fromkeys((*self.conditions, *self.objective.fields))
        objective = self.objective if train else self.objective.held_out()
        return objective(
            key_loss,
            self.make(params, constants, key_dropout if train else None),
            self.sde,
            space.encode(examples, key_encode),
            {name: batch[name] for name in names} or None,
        )


def experiment(config: ConfigDict, info: Info) -> Experiment:
    """Read a config.

    Args:
        config: see runs.config.default.
        info: what is known of the data set that it names.

    Raises:
        UserError: a value is unknown or cannot work.
    """
    try:
        _check_counts(config)
        field = info.of_kinds(spaces.kinds(config.space), config.data.field)
        space = spaces.read(config.space, field)
        process = processes.read(config.sde)
        objective = _objective(config.objective, process)
        _check_sigma_data(config)
        draw = sampler(config.sampling)
        if objective.draws:
            check_sampler(draw, process)
        module = _module(config, info, space, objective)
        network = functional(module)  # abstractly, which checks its arguments
        return Experiment(
            config=config,
            data=info,
            field=field,
            space=space,
            conditions=tuple(config.conditions.fields),
            sde=process,
            module=module,
            network=network,
            make=_make(config.model, process, network, objective),
            objective=objective,
            sampler=draw,
            training=TrainingOptions(**config.training),
            optim=OptimOptions(**config.optim),
        )
    except UserError:
        raise
    except ValueError as error:  # the classes below check their own arguments
        raise UserError(str(error).splitlines()[0]) from error


def _check_counts(config: ConfigDict) -> None:
    """Raise UserError unless the counts that no class below checks can work."""
    smallest = {
        "seed": 0,
        "evaluation.batch_size": 1,
        "sampling.batch_size": 1,
        "sampling.num_samples": 1,
        "sampling.seed": 0,
    }
    for path, value in flatten(config.to_dict()):
        if path in smallest and value < smallest[path]:
            raise UserError(f"config.{path}={value} must be at least {smallest[path]}")


def source(config: ConfigDict, split: str) -> Source:
    """A split, such as "train" or "test", of the data set that the section `data` names.

    Raises:
        DataError: it cannot be found; SplitError if it has no such split.
    """
    return selection.read(config.data).open(split)


def sampler(section: Mapping[str, Any]) -> samplers.Sampler:
    """The sampler that the section `sampling` names.

    Raises:
        UserError: there is none, or an option cannot work.
    """
    try:
        return samplers.read(section)
    except ValueError as error:
        raise UserError(f"config.sampling: {error}") from error


def check_sampler(sampler: samplers.Sampler, process: SDE) -> None:
    """Raise UserError if a sampler cannot work for a process."""
    try:
        sampler.check(process)
    except ValueError as error:
        raise UserError(f"config.sampling: {error}") from error


def _objective(section: ConfigDict, process: SDE) -> Objective:
    objective = objectives.read(section)
    try:
        objective.check(process)
    except ValueError as error:
        raise UserError(f"config.objective: {error}") from error
    return objective


def _check_sigma_data(config: ConfigDict) -> None:
    """Raise UserError if EDM's parametrization and its weighting are of other data."""
    ours, theirs = config.model.sigma_data, config.objective.denoising.sigma_data
    edm = config.model.parametrization == config.objective.denoising.weighting == "edm"
    if edm and ours != theirs:
        raise UserError(
            f"config.model.sigma_data={ours} and config.objective.denoising.sigma_data={theirs} "
            "are both the standard deviation of the data: give them one value"
        )


def _module(
    config: ConfigDict, info: Info, space: Space, objective: Objective
) -> Callable[[nnx.Rngs], nnx.Module]:
    """The network that the section `model` names, fitted to the data, as a function that makes it.

    Raises:
        UserError: its name or its dtype cannot work, or it is not for such data or objective.
    """
    check_name("config.model.name", config.model.name, NETWORKS)
    cls = NETWORKS[config.model.name]
    own = sections.entries(ModelOptions)
    arguments = {k: v for k, v in config.model.items() if k not in own}
    check_name("config.model.dtype", arguments["dtype"], ("float32", "bfloat16"))
    arguments["dtype"] = jnp.dtype(arguments["dtype"])
    drawn = info.of_kinds(spaces.kinds(config.space), config.data.field).name
    told = _embeddings(config, info, (drawn, *objective.fields))
    given = {"shape": space.shape, "conditions": told, **space.facts}
    facts = objective.facts({name: info[name] for name in objective.fields})
    asked = inspect.signature(cls.__init__).parameters
    derived = {name for name in DERIVED if name in asked} - {"self", "rngs", "param_dtype"}
    missing = derived - given.keys() - facts.keys()
    if not facts.keys() <= derived or missing & {"classes"}:
        raise UserError(
            f"config.model.name={config.model.name} does not go with "
            f"config.objective.name={config.objective.name}"
        )
    if missing:
        raise UserError(
            f"config.model.name={config.model.name} is not for config.space.name="
            f"{config.space.name}"
        )
    arguments |= {name: (given | facts)[name] for name in derived}
    return lambda rngs: cls(**arguments, rngs=rngs)


def _embeddings(
    config: ConfigDict, info: Info, answers: Sequence[str]
) -> dict[str, Callable[..., nnx.Module]]:
    """What makes the embedding of each condition, by the name of its field.

    Args:
        config: the config.
        info: the data set.
        answers: fields that the model is not told: what it draws or predicts.
    """
    found = {}
    names = config.conditions.fields
    if len(set(names)) < len(names):
        raise UserError(f"config.conditions.fields={tuple(names)} names a field twice")
    for name in names:
        if name in answers:
            raise UserError(f"config.conditions.fields: {name} is what the model is to find")
        field = info[name]
        if field.kind not in CONDITIONS:
            raise UserError(
                f"config.conditions.fields: {name} is of kind {field.kind}; conditions are of kind "
                f"{', '.join(CONDITIONS)}"
            )
        options = CONDITIONS[field.kind](**config.conditions[field.kind])
        found[name] = functools.partial(options.embedding, field)
    return found


def _make(
    section: ConfigDict, process: SDE, model: Functional, objective: Objective
) -> Callable[..., Denoiser | Classifier]:
    """What makes of the network's arrays what the objective trains."""
    if section.get("num_scales", process.scales) != process.scales:
        raise UserError(
            f"config.model.num_scales={section.num_scales} must be the process's number of "
            f"noise levels, config.sde.scales={process.scales}"
        )

    def network(params: Arrays, constants: Arrays, key: jax.Array | None) -> Callable[..., Any]:
        return functools.partial(model.apply, params, constants, key=key)

    check_name("config.model.parametrization", section.parametrization, PARAMETRIZATIONS)
    check_name("config.model.noise_label", section.noise_label, NOISE_LABELS)
    if section.parametrization == "edm":
        parametrization = PARAMETRIZATIONS["edm"](section.sigma_data)
    else:
        parametrization = PARAMETRIZATIONS[section.parametrization]()
    _check_noise_label(section, process)
    noise_label = NOISE_LABELS[section.noise_label]

    def denoiser(network: Callable[..., jax.Array]) -> Denoiser:
        return from_network(network, process, parametrization, noise_label)

    return lambda params, constants, key=None: objective.model(
        network(params, constants, key), process, denoiser
    )


def _check_noise_label(section: ConfigDict, process: SDE) -> None:
    """Raise UserError if the network cannot be told the time so."""
    if section.get("embedding") == "fourier" and section.noise_label != "sigma":
        raise UserError(
            "config.model.embedding=fourier is of the logarithm of sigma: "
            "use config.model.noise_label=sigma"
        )
    if section.get("scale_by_sigma") and section.noise_label != "sigma":
        raise UserError(
            "config.model.scale_by_sigma divides by the noise label: "
            "use config.model.noise_label=sigma"
        )
    if section.noise_label == "level" and process.scales is None:
        raise UserError(
            "config.model.noise_label=level needs a discrete sequence: use config.sde.name=smld or "
            "ddpm"
        )
