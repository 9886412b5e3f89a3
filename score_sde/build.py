"""From a config to the objects that it names. Nothing below this and cli.py reads a config."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from flax import nnx
from ml_collections import ConfigDict

from score_sde import losses, samplers
from score_sde.data import transforms
from score_sde.discrete import PROCESSES
from score_sde.errors import UserError
from score_sde.models import NETWORKS
from score_sde.models.functional import Arrays, Functional, functional
from score_sde.prediction import NOISE_LABELS, PARAMETRIZATIONS, Denoiser, from_network
from score_sde.samplers.options import check_name
from score_sde.sde import SDE
from score_sde.training.options import OptimOptions, TrainingOptions

if TYPE_CHECKING:
    from score_sde.data import Info


@dataclasses.dataclass(frozen=True)
class Experiment:
    """Everything that a config names, ready to use. No array has been made yet.

    Attributes:
        config: the config itself, for the record.
        sde: the forward process.
        model: the network as a pure function.
        denoiser: makes a denoiser of (parameters, constants, dropout key or None).
        loss: the training loss of each example, see training.step.LossFunction.
        sampler: the sampler.
        training: the section `training`.
        optim: the section `optim`.
        data: what is known of the data set.
        conditional: whether the network is given class labels.
    """

    config: ConfigDict
    sde: SDE
    model: Functional
    denoiser: Callable[..., Denoiser]
    loss: Callable[..., jax.Array]
    sampler: samplers.Sampler
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
    def evaluation_batch_size(self) -> int:
        """Examples a batch of the held-out loss, over all devices."""
        return self.config.evaluation.batch_size

    @property
    def picture_size(self) -> int:
        """Images in a picture drawn during training."""
        return min(64, self.config.sampling.num_samples)

    def to_images(self, x: jax.Array) -> jax.Array:
        """States in the model's range to uint8 images; [batch, H, W, C]."""
        return transforms.from_model(x, self.config.data.centered, self.data.levels)


def experiment(config: ConfigDict, info: Info) -> Experiment:
    """Read a config.

    Args:
        config: see score_sde.config.default.
        info: what is known of the data set that it names.

    Raises:
        UserError: a value is unknown or cannot work.
    """
    try:
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
    counts = {
        "seed": (config.seed, 0),
        "evaluation.batch_size": (config.evaluation.batch_size, 1),
        "sampling.batch_size": (config.sampling.batch_size, 1),
        "sampling.num_samples": (config.sampling.num_samples, 1),
        "sampling.seed": (config.sampling.seed, 0),
    }
    for path, (value, smallest) in counts.items():
        if value < smallest:
            raise UserError(f"config.{path}={value} must be at least {smallest}")


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
    check_name("config.model.name", config.model.name, NETWORKS)
    check_name("config.model.dtype", arguments["dtype"], ("float32", "bfloat16"))
    height, width, channels = info.shape
    if height != width:
        raise UserError(f"images are {height}x{width}; set config.data.image_size to make a square")
    arguments.update(
        dtype=jnp.dtype(arguments["dtype"]),
        data_channels=channels,
        image_size=height,
        num_classes=info.num_classes if config.model.class_conditional else 0,
        centered=config.data.centered,
    )
    return lambda rngs: NETWORKS[config.model.name](**arguments, rngs=rngs)


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
    training, data = config.training, config.data
    times, weighting = _times(training, process), _weighting(config)
    check_name("config.training.reduction", training.reduction, losses.REDUCTIONS)

    def loss(key: jax.Array, params: Arrays, constants: Arrays, batch: Any, train: bool):
        key_flip, key_dequantize, key_loss, key_dropout = jax.random.split(key, 4)
        images = batch["image"]
        if data.flip and train:
            images = transforms.random_flip(key_flip, images)
        if data.dequantize:
            x0 = transforms.dequantize(key_dequantize, images, info.levels, data.centered)
        else:
            x0 = transforms.to_model(images, data.centered)
        return losses.denoising_score_matching(
            key_loss,
            denoiser(params, constants, key_dropout if train else None),
            process,
            x0,
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


def _times(training: ConfigDict, process: SDE) -> losses.TimeDistribution:
    check_name("config.training.times", training.times, losses.TIMES)
    if training.t_min >= process.t_max:
        raise UserError(
            f"config.training.t_min={training.t_min} must be below t_max={process.t_max}"
        )
    if training.times in ("uniform", "importance"):
        return losses.TIMES[training.times](training.t_min if training.t_min > 0 else None)
    if training.times == "discrete":
        _check_discrete("config.training.times=discrete", process)
        return losses.TIMES[training.times]()
    return losses.TIMES[training.times](training.time_mean, training.time_std)


def _weighting(config: ConfigDict) -> losses.Weighting:
    name = config.training.weighting
    check_name("config.training.weighting", name, losses.WEIGHTINGS)
    check_name("config.training.quantity", config.training.quantity, losses.QUANTITIES)
    arguments = {"edm": (config.model.sigma_data,), "uniform": (config.training.quantity,)}
    return losses.WEIGHTINGS[name](*arguments.get(name, ()))
