"""From a config to the objects that it names. Each family reads its own section."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
from flax import nnx
from jax.sharding import Mesh
from ml_collections import ConfigDict

from score_sde import (
    guidance,
    models,
    objectives,
    processes,
    prompting,
    samplers,
    sections,
    spaces,
)
from score_sde.autoencoder import KLAutoencoder
from score_sde.classifier import Classifier
from score_sde.data import DataError, Info, Source, selection
from score_sde.errors import UserError, first_line
from score_sde.fields import Field
from score_sde.models import conditions, placing
from score_sde.models.adapter import Adapter
from score_sde.models.conditions.augment import AugmentEmbedding
from score_sde.models.control import Control
from score_sde.models.functional import Arrays, Functional, beside, functional
from score_sde.models.lora import LoRA
from score_sde.noise_labels import NOISE_LABELS
from score_sde.objectives import Objective
from score_sde.prediction import Denoiser, PredictionOptions
from score_sde.processes import SDE
from score_sde.prompting import System
from score_sde.runs import sampling
from score_sde.runs.config import check_fields
from score_sde.spaces import Space
from score_sde.training.options import OptimOptions, TrainingOptions
from score_sde.training.sharding import make_mesh

AUGMENT = "augment"  # the condition that tells of a space's distortions


@dataclasses.dataclass(frozen=True)
class Make:
    """Makes of a network's arrays what an objective trains; equal to others of equal parts.

    Attributes:
        apply: the network, as of models.functional.Functional; that of equal networks is one.
        objective: what is trained.
        sde: the forward process.
        predicts: what the output of the network means.

    Raises:
        ValueError: it can mean nothing for this process.
    """

    apply: Callable[..., Any]
    objective: Objective
    sde: SDE
    predicts: PredictionOptions
    _denoiser: Callable[..., Denoiser] = dataclasses.field(init=False, compare=False, repr=False)

    def __post_init__(self):
        object.__setattr__(self, "_denoiser", self.predicts.denoiser(self.sde))

    def __call__(
        self,
        params: Arrays,
        constants: Arrays,
        key: jax.Array | None = None,
        around: Callable[..., Any] = lambda bound: bound,
    ) -> Denoiser | Classifier | KLAutoencoder:
        """What is trained, of arrays.

        Args:
            params: the parameters of the network.
            constants: its other arrays.
            key: of dropout; None for none.
            around: what is put around the network.
        """
        bound = around(functools.partial(self.apply, params, constants, key=key))
        return self.objective.model(bound, self.sde, self._denoiser)


class Fixed(NamedTuple):
    """What a loss is computed with beside the network; a pytree.

    Attributes:
        space: what the model sees of an example.
        teacher: what it learns from beside the data, or None; see runs.teacher.
        captions: what tells the network of texts of the data, or None; see runs.captions.
    """

    space: Space
    teacher: Any
    captions: Any = None


@dataclasses.dataclass(frozen=True)
class Experiment:
    """Everything that a config names, ready to use. No array of a network has been made yet.

    Attributes:
        config: the config itself, for the record.
        data: what is known of the data set.
        field: of the data set, what is modelled.
        space: what the model sees of it.
        conditions: names of the fields that the network, or what is beside it, is told.
        sde: the forward process.
        module: makes the network of random streams.
        network: the network as a pure function.
        make: makes of the network's arrays what the objective trains.
        own: of (parameters, constants), then its own arguments: the model of the objective's own,
            whose arrays stand beside the network's or are of it; None if it has none.
        objective: what is trained.
        sampler: what draws from it.
        rule: how its drawing is guided; see runs.guide.
        text: how it is told of prompts.
        training: the section `training`.
        optim: the section `optim`.
        adapter: what is trained beside the network, if it is not itself: `training.lora` or
            `training.control`.
        teacher: what the objective learns from beside the data, while it trains; see runs.teacher.
        captions: what tells the network of texts of the data, while it trains; see runs.captions.
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
    own: Callable[..., Any] | None
    objective: Objective
    sampler: samplers.Sampler
    rule: guidance.Rule
    text: System
    training: TrainingOptions
    optim: OptimOptions
    adapter: Adapter
    teacher: Any = None
    captions: Any = None

    @property
    def fixed(self) -> Fixed:
        """The arrays that the loss is given beside those of the network: a pytree."""
        return Fixed(self.space, self.teacher, self.captions)

    @property
    def parameters(self) -> int:
        """How many trainable parameters the network has, with those of the objective's own."""
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
        return min(self.space.FEW, self.config.sampling.num_samples)

    def loss(
        self,
        key: jax.Array,
        params: Arrays,
        constants: Arrays,
        fixed: Fixed,
        batch: Mapping[str, jax.Array],
        step: jax.Array | None,
    ) -> jax.Array:
        """The loss of each example of a batch, with augmentation and dropout when it trains.

        See training.step.LossFunction.
        """
        train, (space, teacher, captions) = step is not None, fixed
        key_augment, key_encode, key_loss, key_dropout = jax.random.split(key, 4)
        # A fifth and a sixth, which leave the four as they are.
        key_distort, key_captions = (jax.random.fold_in(key, i) for i in (4, 5))
        examples = batch[self.field.name]
        if train:
            examples = space.augment(key_augment, examples)
        x0 = space.encode(examples, key_encode)
        names = dict.fromkeys((*self.conditions, *self.objective.fields))
        if train:
            objective = self.objective.at(step / self.training.steps)
        else:
            objective = self.objective.held_out()
        if teacher is not None:
            objective = objective.given(teacher)
        own = {"own": functools.partial(self.own, params, constants)} if self.own else {}
        cond = {name: batch[name] for name in names}
        if captions is not None:
            cond |= captions(batch, key_captions if train else None)
        if train and space.told:  # who is told nothing of it takes an example as it is
            x0, cond[AUGMENT] = space.distort(key_distort, x0)
        return objective(
            key_loss,
            self.make(params, constants, key_dropout if train else None),
            self.sde,
            x0,
            cond or None,
            **own,
        )


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
        check_fields(config)
        field = _data_field(config, info)
        space = spaces.read(config.space, field).tiled(config.sampling.tile)
        process = processes.read(config.sde)
        predicts = _prediction(config)
        trained = objective(config, process, space)
        draw, guiding = sampling.sampler(config.sampling), sampling.rule(config.guidance)
        text = _prompts(config, info)
        if trained.draws:
            sampling.check_sampler(draw, process, trained.TRAINS)
            told = sampling.guided_to(config.conditions.fields, text)
            sampling.check_rule(guiding, told, draw, trained.NUMBERS)
        predicts.denoiser(process)  # checked before any network is built
        answers = (field.name, *trained.fields)
        condition = functools.partial(_named, info, "conditions.fields")
        given = {
            "shape": space.shape,
            "conditions": conditions.read(config.conditions, condition, answers)
            | _numbers(trained, config.conditions.fields)
            | _augmentation(space, config.conditions.fields),
            "noise_label": predicts.noise_label,
            "num_scales": process.scales,
            "learn_variance": False,
            **space.facts,
        }
        option = f"objective.{config.objective.name}.field"
        facts = trained.facts({name: _named(info, option, name) for name in trained.fields})
        _check_trained(trained, config, given["conditions"])
        if draw.NEEDS_VARIANCE and not facts.get("learn_variance"):
            raise UserError(
                f"config.sampling.sampler={config.sampling.sampler} uses a variance that the model "
                "has learnt: train with config.objective.denoising.learned_variance=True"
            )
        module = models.read(config.model, given, facts)
        try:
            network = functional(module)  # abstractly, which checks its arguments
        except ValueError as error:
            raise UserError(f"config.model: {first_line(error)}") from error
        adapter = _adapter(config, info, answers)
        network, own = _with_own(adapter.adapted(network), config, trained)
        if mesh is not None:
            network, own = network.on(mesh), own and placing.on(mesh, own)

        return Experiment(
            config=config,
            data=info,
            field=field,
            space=space,
            conditions=(*config.conditions.fields, *adapter.told),
            sde=process,
            module=module,
            network=network,
            make=Make(network.apply, trained, process, predicts),
            own=own,
            objective=trained,
            sampler=draw,
            rule=guiding,
            text=text,
            training=TrainingOptions(**sections.own(TrainingOptions, config.training)),
            adapter=adapter,
            optim=OptimOptions(**config.optim),
        )
    except UserError:
        raise
    except ValueError as error:  # the classes below check their own arguments
        raise UserError(first_line(error)) from error


def _data_field(config: ConfigDict, info: Info) -> Field:
    """What is modelled."""
    kinds, name = spaces.kinds(config.space), config.data.field
    try:
        return info.of_kinds(kinds, name)
    except DataError as error:
        option = f"data.field={name}" if name else f"space.name={config.space.name}"
        raise UserError(f"config.{option}: {error}") from None


def _named(info: Info, option: str, name: str) -> Field:
    """The field of a data set that an option names."""
    try:
        return info[name]
    except DataError as error:
        raise UserError(f"config.{option}: {error}") from None


def _adapter(config: ConfigDict, info: Info, answers: Sequence[str]) -> Adapter:
    """What is trained beside the network."""
    name = config.training.control.field
    field = _named(info, "training.control.field", name) if name else None
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


def _prompts(config: ConfigDict, info: Info) -> System:
    """How a model is told of prompts: as the config says, or else as it is told of its data."""
    found = prompting.read(config.text)
    if found.field:
        if not found.ENCODERS:
            raise UserError(
                f"config.text.field={found.field} is for a model that encoders tell of prompts, "
                f"and config.text.name={config.text.name} has none: leave it out, or name it in "
                "config.conditions.fields"
            )
        if (kind := _named(info, "text.field", found.field).kind) != "text":
            raise UserError(f"config.text.field={found.field} is a field of kind {kind}, not text")
    named = functools.partial(_named, info, "conditions.fields")
    texts = [name for name in config.conditions.fields if named(name).kind == "text"]
    if found.prompts or not texts:
        return found
    (most,), words = info[texts[0]].shape, config.conditions.text.words
    return prompting.OfField(name=texts[0], most=most, words=words)


def _with_own(
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


def source(config: ConfigDict, split: str) -> Source:
    """A split, such as "train" or "test", of the data set that the section `data` names.

    Raises:
        DataError: it cannot be found; SplitError if it has no such split.
    """
    return selection.read(config.data).open(split)


def training_source(config: ConfigDict, say: Callable[[str], None]) -> Source:
    """The examples that are trained on; see DataOptions.open_to_train.

    Raises:
        DataError: it cannot be found.
    """
    return selection.read(config.data).open_to_train(say)


def matching(config: ConfigDict, split: str, experiment: Experiment, who: str) -> Source:
    """A split as of `source`, whose examples mean what those mean that a model was trained on.

    Args:
        config: where the section `data` says where they are.
        split: of the data set.
        experiment: of the model.
        who: the model, for the message.

    Raises:
        DataError: it cannot be found, or lacks a field that the model needs.
        UserError: a field of it has another shape, other values, or other names of classes.
    """
    found = source(config, split)
    needed = (experiment.field.name, *experiment.conditions, *experiment.objective.fields)
    needed += (experiment.text.field,) if experiment.text.field else ()
    for name in dict.fromkeys(needed):
        if differs := experiment.data[name].differs(found.info[name]):
            ours, theirs = differs
            raise UserError(
                f"{who} was trained on {ours}, and the {split} examples of {found.info.name} have "
                f"{theirs}"
            )
    return found


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
        given = {"sigma_data": config.model.sigma_data, **of_data}
        found = objectives.read(config.objective, given)
    except ValueError as error:
        raise UserError(str(error)) from error
    try:
        found.check(process)
    except ValueError as error:
        raise UserError(f"config.objective: {error}") from error
    return found


def _numbers(trained: Objective, fields: Sequence[str]) -> dict[str, conditions.MakeEmbedding]:
    """What embeds the numbers that a network is told for its objective, by name."""
    for name in trained.NUMBERS:
        if name in fields:
            raise UserError(
                f"config.conditions.fields: {name} is what this objective tells the network "
                "itself: give the field of the data another name"
            )
    return {
        name: functools.partial(conditions.Number().embedding, Field(name, "number"))
        for name in trained.NUMBERS
    }


def _augmentation(space: Space, fields: Sequence[str]) -> dict[str, conditions.MakeEmbedding]:
    """What embeds how an example was distorted, by name; nothing where none is."""
    if space.told and AUGMENT in fields:
        raise UserError(
            f"config.conditions.fields: {AUGMENT} is what this space tells the network itself: "
            "give the field of the data another name"
        )
    return {AUGMENT: functools.partial(AugmentEmbedding, space.told)} if space.told else {}


def _check_trained(
    trained: Objective, config: ConfigDict, told: Mapping[str, conditions.MakeEmbedding]
) -> None:
    """Raise UserError if an objective cannot train such a model."""
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


def _prediction(config: ConfigDict) -> PredictionOptions:
    return PredictionOptions(**sections.own(PredictionOptions, config.model))
