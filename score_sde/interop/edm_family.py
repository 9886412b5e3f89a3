"""Snapshots of EDM and EDM2 as families of released files; see families, edm and edm2.

They say what their network and their loss were; what they do not is the authors': the learning
rate, the batch, and Heun's method on 18 times for 32 pixels and on 32 or 40 for more.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from score_sde.fields import Field
from score_sde.interop import edm, edm2, proposal
from score_sde.interop.released import Arrays, Released
from score_sde.interop.slots import Slots, check_fixed
from score_sde.models.adm import ADM
from score_sde.models.edm2 import EDM2
from score_sde.models.unet import UNet
from score_sde.processes import DDPM
from score_sde.runs.experiment import Experiment

LEVELS = "u"  # the array of the levels of iDDPMPrecond
_TRANSFORMS = {  # ours by theirs
    "xflip": "xflip",
    "yflip": "yflip",
    "scale": "scale",
    "rotate_frac": "rotate",
    "aniso": "aniso",
    "translate_frac": "translate",
    "brightness": "brightness",
    "contrast": "contrast",
    "lumaflip": "lumaflip",
    "hue": "hue",
    "saturation": "saturation",
}


def propose(released: Released) -> ConfigDict:
    """The config of a snapshot of EDM; see families.

    Raises:
        ValueError: an option is none that there is here.
    """
    kind = released.facts["class"]
    found = edm.fields(kind, released.arguments)
    shape, classes, augment = (found.pop(name) for name in ("shape", "classes", "augment"))
    dataset = released.facts.get("dataset_kwargs") or {}
    found |= proposal.data(shape, classes, str(dataset.get("path", "")))
    found |= _weighted(released, -1.2, 1.2) if kind == "EDMPrecond" else {}
    found |= _heun(18 if shape[0] <= 32 else 40) if kind == "EDMPrecond" else {}
    found |= proposal.training(1e-3, 512, 0.9993)
    found |= _augmented(released) if augment else {}
    if dataset.get("xflip"):
        found["space.pixels.flip"] = True
    return proposal.config(found.pop("model.name"), found)


def propose2(released: Released) -> ConfigDict:
    """The config of a snapshot of EDM2; see families.

    Raises:
        ValueError: an option is none that there is here, or nothing says what they are.
    """
    for name in ("img_resolution", "img_channels"):
        if name not in released.arguments:
            beside = released.path.with_suffix(".json")
            raise ValueError(
                f"it has arrays of EDM2 alone, and nothing says {name}: write the arguments of its "
                f"network beside it, to {beside}"
            )
    found = edm2.fields(released.arguments)
    shape, classes = found.pop("shape"), found.pop("classes")
    found |= proposal.data(shape, classes)
    found |= _weighted(released, -0.4, 1.0) | _heun(32)
    found["objective.denoising.uncertainty"] = True  # by u of the file
    found |= proposal.training(0.01, 2048)
    encoder = released.facts.get("encoder") or {}
    if proposal.is_latent(shape) and {"scale", "bias"} <= encoder.keys():
        for name in ("scale", "bias"):
            found[f"space.latents.{name}"] = tuple(np.ravel(encoder[name]).astype(float).tolist())
    return proposal.config(found.pop("model.name"), found)


def fields(released: Released, config: ConfigDict) -> tuple[Field, ...]:
    """See families.Family."""
    size, channels, classes = (
        released.arguments.get(name, 0) for name in ("img_resolution", "img_channels", "label_dim")
    )
    return proposal.described((size, size, channels), classes)


def _weighted(released: Released, mean: float, std: float) -> dict[str, Any]:
    """EDM's loss, with the noise levels of the file's or these."""
    loss = released.facts.get("loss_fn") or {}
    return {
        "objective.denoising.weighting": "edm",
        "objective.denoising.times": "log_normal",
        "objective.denoising.time_mean": float(loss.get("P_mean", mean)),
        "objective.denoising.time_std": float(loss.get("P_std", std)),
    }


def _augmented(released: Released) -> dict[str, Any]:
    """The transforms of images that a network is told of; EDM's own if the file does not say."""
    pipe = released.facts.get("augment_pipe") or dict.fromkeys(list(_TRANSFORMS)[:6], 1)
    return {
        "space.pixels.augmentations": tuple(
            ours for theirs, ours in _TRANSFORMS.items() if pipe.get(theirs)
        ),
        "space.pixels.augmentation_probability": float(pipe.get("p", 0.12)),
    }


def _heun(steps: int) -> dict[str, Any]:
    return {"sampling.sampler": "heun", "sampling.steps": steps, "sampling.grid": "karras"}


def prepare(arrays: Arrays) -> Arrays:
    """The arrays of the network alone."""
    return {name: array for name, array in arrays.items() if name != LEVELS}


def check(experiment: Experiment, released: Released) -> None:
    """The noise levels of iDDPMPrecond.

    Raises:
        ValueError: the config has others.
    """
    if LEVELS in released.arrays:
        if not isinstance(experiment.sde, DDPM):
            raise ValueError("it has the levels of a sequence: give config.sde.name=ddpm")
        check_fixed(edm.noise_levels(experiment.sde), [np.asarray(released.arrays[LEVELS])])


def export(model: UNet | ADM, experiment: Experiment, path: Path) -> Slots:
    """Every array of a snapshot of EDM; those of iDDPMPrecond's levels too."""
    yield from edm.slots(model)
    if isinstance(experiment.sde, DDPM):
        yield edm.noise_levels(experiment.sde)


def export2(model: EDM2, experiment: Experiment, path: Path) -> Slots:
    """Every array of a snapshot of EDM2."""
    return edm2.slots(model)


def exports(experiment: Experiment) -> bool:
    """EDM's networks embed conditions with the noise level, or have its groups of channels."""
    model = experiment.config.model
    if model.name == "unet":
        return bool(model.early_conditions)
    return model.group_size == 4 and model.resblock_resample


def slots(model: UNet | ADM, released: Released) -> Slots:
    """See families."""
    return edm.slots(model)


def slots2(model: EDM2, released: Released) -> Slots:
    """See families."""
    return edm2.slots(model)
