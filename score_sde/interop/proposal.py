"""What the proposals for several families share: a config from fields, data by their shape."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from score_sde import fields
from score_sde.fields import Field
from score_sde.runs import config as configs

IMAGENET_CLASSES = 1000
# That of the autoencoder of latent diffusion (Rombach et al. 2022, arXiv 2112.10752).
LATENT_SCALE = 0.18215
Shape = tuple[int, int, int]  # height, width, channels


def config(network: str, values: Mapping[str, Any]) -> ConfigDict:
    """The config of a network with these values, by dotted path.

    Raises:
        UserError: there is no such field, or it does not take the value.
    """
    found = configs.default(network)
    for path, value in values.items():
        configs.set_field(found, path, value)
    return found


def is_latent(shape: Shape) -> bool:
    """Whether data of so many channels are latents: images have one or three."""
    return shape[-1] not in (1, 3)


def described(shape: Shape, classes: int) -> tuple[Field, ...]:
    """The fields of an example of data that a network was trained on; classes: 0 for no label."""
    modelled = fields.latent(shape) if is_latent(shape) else fields.image(shape)
    return (modelled, *([fields.label(classes)] if classes else []))


def data(shape: Shape, classes: int, named: str = "") -> dict[str, Any]:
    """The data set, its space and the label that a network is told.

    It leaves no trace in most files: it is the authors' for a size and a number of classes, or
    what a name says; else a folder of images.

    Args:
        shape: of an example.
        classes: 0 for no label.
        named: what may hold the name of the data set, such as the file's own.
    """
    found: dict[str, Any] = {"conditions.fields": ("label",)} if classes else {}
    if is_latent(shape):
        return found | {"space.name": "latents", "data.name": "arrays"}
    lsun = re.search(r"lsun\w*?_(bedroom|church_outdoor)", named)
    if lsun or "lsun_uncond" in named:
        name = f"lsun/{lsun[1] if lsun else 'bedroom'}"
    elif classes == IMAGENET_CLASSES:
        name = "imagenet2012"
    elif shape == (32, 32, 3) and classes in (0, 10):
        name = "cifar10"
    else:
        name = "folder"
    return found | {"data.name": name, "data.image_size": shape[0]}


def learned_variance(learnt: bool) -> dict[str, Any]:
    """The loss of a network of a discrete sequence; with a variance, how it is drawn from, too."""
    found: dict[str, Any] = {"objective.denoising.times": "discrete"}
    if learnt:
        found |= {
            "objective.denoising.learned_variance": True,
            "sampling.sampler": "improved_ddpm",
            "sampling.steps": 250,
            "sampling.grid": "linspace",
        }
    return found


def training(learning_rate: float, batch_size: int, decay: float = 0.9999) -> dict[str, Any]:
    """How training goes on: at once with the learning rate of the authors."""
    return {
        "optim.learning_rate": learning_rate,
        "optim.warmup": 0,
        "training.batch_size": batch_size,
        "training.ema_decays": (decay,),
    }
