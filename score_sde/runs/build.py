"""From a config to the objects that it names. Nothing below this reads a config."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from ml_collections import ConfigDict

from score_sde import samplers
from score_sde.checks import check_name
from score_sde.classifier import Classifier
from score_sde.data import Info, Source, load
from score_sde.errors import UserError
from score_sde.evaluation.options import EvaluationOptions
from score_sde.models import CLASSIFIERS, NETWORKS
from score_sde.models.functional import Arrays, Functional, functional
from score_sde.objectives import denoising, times, weightings
from score_sde.objectives.classification import cross_entropy
from score_sde.prediction import NOISE_LABELS, PARAMETRIZATIONS, Denoiser, from_network
from score_sde.processes import PROCESSES, SDE
from score_sde.runs.config import flatten
from score_sde.spaces import pixels
from score_sde.training.options import OptimOptions, TrainingOptions


@dataclasses.dataclass(frozen=True)
class Experiment:
    """Everything that a config names, ready to use. No array has been made yet.

    It trains a score network, or a classifier, which has no denoiser and no sampler.

    Attributes:
        config: the config itself, for the record.
        sde: the forward process.
        model: the network as a pure function.
        denoiser: makes a denoiser of (parameters, constants, dropout key or None), or None.
        classifier: makes a Classifier of the same, or None.
        loss: the training loss of each example, see training.step.LossFunction.
        sampler: the sampler, or None.
        training: the section `training`.
        optim: the section `optim`.
        data: what is known of the data set.
        conditional: whether the network is given class labels.
    """

    config: ConfigDict
    sde: SDE
    model: Functional
    denoiser: Callable[..., Denoiser] | None
    classifier: Callable[..., Classifier] | None
    loss: Callable[..., jax.Array]
    sampler: samplers.Sampler | None
    training: TrainingOptions
    optim: OptimOptions
    data: Info
    conditional: bool

    @property
    def parameters(self) -> int:
        """How many trainable parameters the network has."""
        return sum(array.size for array in self.model.shapes[0].values())

    @property
    def seed(self) -> int:
        """Of everything random in training."""
        return self.config.seed

    @property
    def centered(self) -> bool:
        """Whether the model's range is [-1, 1] and not [0, 1]."""
        return self.config.data.centered

    @property
    def dequantized(self) -> bool:
        """Whether the model was trained on dequantised data."""
        return self.config.data.dequantize

    @property
    def evaluation_batch_size(self) -> int:
        """Examples a batch of the held-out loss, over all devices."""
        return self.config.evaluation.batch_size

    @property
    def picture_size(self) -> int:
        """Images in a picture drawn during training."""
        return min(64, self.config.sampling.num_samples)

    def to_images(self, x: jax.Array) -> jax.Array:
        """States in the model's range to uint8 images; [batch, H, W, C]."""
        return pixels.from_model(x, self.centered, self.data.levels, self.dequantized)

    def from_images(self, images: jax.Array) -> jax.Array:
        """The inverse of `to_images`: states x_0 in the model's range; [batch, H, W, C]."""
        if self.dequantized:
            return pixels.middles(images, self.data.levels, self.centered)
        return pixels.to_model(images, self.centered)


def experiment(config: ConfigDict, info: Info) -> Experiment:
    """Read a config.

    Args:
        config: see score_sde.runs.config.default.
        info: what is known of the data set that it names.

    Raises:
        UserError: a value is unknown or cannot work.
    """
    try:
        if config.model.name in CLASSIFIERS:
            return _classifier_experiment(config, info)
        _check_counts(config)
        process = sde(config.sde)
        conditional = config.model.class_conditional
        if conditional and not info.num_classes:
            raise UserError(f"config.model.class_conditional: {info.name} has no class labels")
        _check_levels(config.model, process)
        model = functional(network(config, info))  # abstractly, which checks its arguments
        denoiser = _denoiser(config.model, process, model)
        draw = sampler(config.sampling)
        check_sampler(draw, process)
        return Experiment(
            config=config,
            sde=process,
            model=model,
            denoiser=denoiser,
            classifier=None,
            loss=_loss(config, process, denoiser, info, conditional),
            sampler=draw,
            training=TrainingOptions(**config.training),
            optim=OptimOptions(**config.optim),
            data=info,
            conditional=conditional,
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
    data = config.data
    return load(
        data.name,
        split,
        data_dir=data.dir or None,
        image_size=data.image_size or None,
        crop=data.crop,
    )


def sde(section: ConfigDict) -> SDE:
    """The process that the section `sde` names; a parameter that it does not have is an error."""
    check_name("config.sde.name", section.name, PROCESSES)
    cls = PROCESSES[section.name]
    given = {k: v for k, v in section.items() if k != "name" and v is not None}
    for name in given:
        check_name(
            f"parameter of sde {section.name}", name, [f.name for f in dataclasses.fields(cls)]
        )
    return cls(**given)


def sampler(section: ConfigDict) -> samplers.Sampler:
    """The sampler that the section `sampling` names, with those options that it has.

    What a name of the paper fixes, PC1000 for example its steps, is taken from the name.
    """
    try:
        family, fixed = samplers.resolve(section.sampler)
        names = {field.name for field in dataclasses.fields(family)} - fixed.keys()
        options = {name: section[name] for name in names if section[name] is not None}
        return samplers.get(section.sampler, **options)
    except ValueError as error:
        raise UserError(f"config.sampling: {error}") from error


def evaluation(section: ConfigDict) -> EvaluationOptions:
    """The section `evaluation`, but for the sections in it."""
    values = section.to_dict()
    return EvaluationOptions(**{k: v for k, v in values.items() if not isinstance(v, dict)})


def check_sampler(sampler: samplers.Sampler, process: SDE) -> None:
    """Raise UserError if a sampler cannot work for a process."""
    try:
        sampler.check(process)
    except ValueError as error:
        raise UserError(f"config.sampling: {error}") from error


def network(config: ConfigDict, info: Info) -> Callable[[nnx.Rngs], nnx.Module]:
    """The network that the section `model` names, fitted to the data, as a function that makes it.

    Raises:
        UserError: its name, its dtype or the shape of the data cannot work.
    """
    not_arguments = ("name", "parametrization", "noise_label", "sigma_data", "class_conditional")
    arguments = {k: v for k, v in config.model.items() if k not in not_arguments}
    check_name("config.model.name", config.model.name, NETWORKS | CLASSIFIERS)
    check_name("config.model.dtype", arguments["dtype"], ("float32", "bfloat16"))
    height, width, channels = info.shape
    if height != width:
        raise UserError(f"images are {height}x{width}; set config.data.image_size to make a square")
    arguments.update(
        dtype=jnp.dtype(arguments["dtype"]),
        data_channels=channels,
        image_size=height,
        # A classifier's config does not say class_conditional: its output is the classes.
        num_classes=info.num_classes if config.model.get("class_conditional", True) else 0,
        centered=config.data.centered,
    )
    make = (NETWORKS | CLASSIFIERS)[config.model.name]
    return lambda rngs: make(**arguments, rngs=rngs)


def _check_levels(section: ConfigDict, process: SDE) -> None:
    """Raise UserError if a network that counts noise levels has not as many as the process."""
    if section.get("num_scales", process.scales) != process.scales:
        raise UserError(
            f"config.model.num_scales={section.num_scales} must be the process's number of "
            f"noise levels, config.sde.scales={process.scales}"
        )


def _denoiser(section: ConfigDict, process: SDE, model: Functional) -> Callable[..., Denoiser]:
    check_name("config.model.parametrization", section.parametrization, PARAMETRIZATIONS)
    check_name("config.model.noise_label", section.noise_label, NOISE_LABELS)
    if section.parametrization == "edm":
        parametrization = PARAMETRIZATIONS["edm"](section.sigma_data)
    else:
        parametrization = PARAMETRIZATIONS[section.parametrization]()
    noise_label = NOISE_LABELS[section.noise_label]
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
    if section.noise_label == "level":
        _check_discrete("config.model.noise_label=level", process)

    def denoiser(params: Arrays, constants: Arrays, key: jax.Array | None = None) -> Denoiser:
        def network(x: jax.Array, label: jax.Array, cond: Any) -> jax.Array:
            return model.apply(params, constants, x, label, cond, key=key)

        return from_network(network, process, parametrization, noise_label)

    return denoiser


def _loss(
    config: ConfigDict, process: SDE, denoiser: Callable, info: Info, conditional: bool
) -> Callable[..., jax.Array]:
    """The loss of a batch of uint8 images, with augmentation and dropout when it trains."""
    training, inputs = config.training, _inputs(config, info)
    times, weighting = _times(training, process), _weighting(config)
    check_name("config.training.reduction", training.reduction, denoising.REDUCTIONS)

    def loss(key: jax.Array, params: Arrays, constants: Arrays, batch: Any, train: bool):
        key_flip, key_dequantize, key_loss, key_dropout = jax.random.split(key, 4)
        return denoising.denoising_score_matching(
            key_loss,
            denoiser(params, constants, key_dropout if train else None),
            process,
            inputs(key_flip, key_dequantize, batch["image"], train),
            batch["label"] if conditional else None,
            times=times,
            weighting=weighting,
            # Held-out losses are compared over training, so their times are always spread evenly.
            stratified=training.stratified or not train,
            reduction=training.reduction,
        )

    return loss


def _check_discrete(field: str, process: SDE) -> None:
    if process.scales is None:
        raise UserError(f"{field} needs a discrete sequence: use config.sde.name=smld or ddpm")


def _inputs(config: ConfigDict, info: Info) -> Callable[..., jax.Array]:
    """Maps uint8 images to data x_0, with the augmentation that the section `data` names."""
    data = config.data

    def inputs(
        key_flip: jax.Array, key_dequantize: jax.Array, images: jax.Array, train: bool
    ) -> jax.Array:
        if data.flip and train:
            images = pixels.random_flip(key_flip, images)
        if data.dequantize:
            return pixels.dequantize(key_dequantize, images, info.levels, data.centered)
        return pixels.to_model(images, data.centered)

    return inputs


def _times(training: ConfigDict, process: SDE) -> times.TimeDistribution:
    check_name("config.training.times", training.times, times.TIMES)
    t_min = _smallest_time(training, process)
    if training.times in ("uniform", "importance"):
        return times.TIMES[training.times](t_min)
    if training.times == "discrete":
        _check_discrete("config.training.times=discrete", process)
        return times.TIMES[training.times]()
    return times.TIMES[training.times](training.time_mean, training.time_std)


def _smallest_time(training: ConfigDict, process: SDE) -> float | None:
    """The smallest time to train on; None for the process's own."""
    if training.t_min >= process.t_max:
        raise UserError(
            f"config.training.t_min={training.t_min} must be below t_max={process.t_max}"
        )
    return training.t_min if training.t_min > 0 else None


def _weighting(config: ConfigDict) -> weightings.Weighting:
    name = config.training.weighting
    check_name("config.training.weighting", name, weightings.WEIGHTINGS)
    check_name("config.training.quantity", config.training.quantity, weightings.QUANTITIES)
    arguments = {"edm": (config.model.sigma_data,), "uniform": (config.training.quantity,)}
    return weightings.WEIGHTINGS[name](*arguments.get(name, ()))


def _classifier_experiment(config: ConfigDict, info: Info) -> Experiment:
    """The experiment that trains a classifier p(y | x_t)."""
    _check_counts(config)
    if not info.num_classes:
        raise UserError(
            f"config.model.name={config.model.name} is a classifier, but {info.name} has no class "
            "labels: choose another config.data.name"
        )
    process, model = sde(config.sde), functional(network(config, info))

    def classifier(params: Arrays, constants: Arrays, key: jax.Array | None = None) -> Classifier:
        return Classifier(
            lambda x, label: model.apply(params, constants, x, label, key=key), process
        )

    return Experiment(
        config=config,
        sde=process,
        model=model,
        denoiser=None,
        classifier=classifier,
        loss=_classifier_loss(config, process, classifier, info),
        sampler=None,
        # It draws no pictures.
        training=TrainingOptions(**config.training, sample_every=0),
        optim=OptimOptions(**config.optim),
        data=info,
        conditional=False,
    )


def _classifier_loss(
    config: ConfigDict, process: SDE, classifier: Callable[..., Classifier], info: Info
) -> Callable[..., jax.Array]:
    """The cross-entropy of a batch, with augmentation and dropout when it trains."""
    training, inputs = config.training, _inputs(config, info)
    drawn = times.uniform_times(_smallest_time(training, process))

    def loss(key: jax.Array, params: Arrays, constants: Arrays, batch: Any, train: bool):
        key_flip, key_dequantize, key_loss, key_dropout = jax.random.split(key, 4)
        return cross_entropy(
            key_loss,
            classifier(params, constants, key_dropout if train else None).log_prob,
            process,
            inputs(key_flip, key_dequantize, batch["image"], train),
            batch["label"],
            times=drawn,
            stratified=training.stratified or not train,  # as in _loss
        )

    return loss
