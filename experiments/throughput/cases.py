"""What is measured: recipes at a precision, batch and number of devices, on random data."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from score_sde import fields
from score_sde.data import Info, selection
from score_sde.fields import Field
from score_sde.runs import build, recipes
from score_sde.runs import config as configs
from score_sde.runs.experiment import Experiment, Fixed

TRAINING, SAMPLING, LIKELIHOOD, INPUT = "training", "sampling", "likelihood", "input"
WORKS = (TRAINING, SAMPLING, LIKELIHOOD, INPUT)
SD15 = "sd15"
# Recipes that are measured unless others are asked for, and batches that a CPU does in seconds.
BATCHES = {
    "digits_vp": 128,
    **dict.fromkeys(("cifar_vp", "cifar_ve", "cifar_edm", "cifar_dit"), 8),
    "imagenet256_dit": 1,
    SD15: 1,
}
STEPS = 10  # of a sampler: all are alike
_MORE_STEPS = {"cifar_vp": 25}  # those of VP's forward process need 21
_TOKENS = (77, 768)  # of a prompt, for the U-Net of Stable Diffusion 1.5
_LATENTS = {"imagenet256_dit": (32, 32, 4), SD15: (64, 64, 4)}


@dataclasses.dataclass(frozen=True)
class Case:
    """What one process measures.

    Attributes:
        work: one of WORKS.
        recipe: a key of BATCHES, or any other recipe.
        dtype: that the network computes in.
        devices: how many of them share the batch.
        batch: examples over all of them.
        seconds: for which the work is repeated, three times at least.
        peer: whether PyTorch does the same beside it.
        only_compile: whether nothing is run.
        changes: of the recipe, values by the dotted path of their field.
    """

    work: str
    recipe: str
    dtype: str = "float32"
    devices: int = 1
    batch: int = 8
    seconds: float = 10.0
    peer: bool = False
    only_compile: bool = False
    changes: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Subject:
    """A recipe, ready to be trained and drawn from.

    Attributes:
        experiment: all that it names.
        fixed: what its loss is given beside the network.
    """

    experiment: Experiment
    fixed: Fixed

    def examples(self, steps: int) -> dict[str, np.ndarray]:
        """Random batches for so many steps, [steps, batch, ...] each."""
        rng, size = np.random.default_rng(0), self.experiment.training.batch_size
        told = (*self.experiment.conditions, *self.experiment.objective.fields)
        names = dict.fromkeys((self.experiment.field.name, *told))
        found = {name: _random(rng, self.experiment.data[name], (steps, size)) for name in names}
        if self.fixed.captions is not None:
            found["text"] = rng.standard_normal((steps, size, *_TOKENS), np.float32)
        return found

    def told(self) -> dict[str, np.ndarray]:
        """Conditions of a batch that is drawn, [batch, ...] each."""
        batch = {name: array[0] for name, array in self.examples(1).items()}
        names = [name for name in batch if name != self.experiment.field.name]
        return {name: batch[name] for name in names}


def read(case: Case) -> Subject:
    """The recipe of a case, in its precision and batch.

    Raises:
        UserError: there is no such recipe, or it cannot be so.
    """
    config = config_of(case.recipe)
    changes = {
        "model.dtype": case.dtype,
        "training.batch_size": case.batch,
        "sampling.steps": _MORE_STEPS.get(case.recipe, STEPS),
    }
    for path, value in (changes | dict(case.changes)).items():
        configs.set_field(config, path, value)
    shape = _LATENTS.get(case.recipe)
    info = (
        selection.read(config.data).describe()
        if shape is None
        else Info("latents", "train", 1, (fields.latent(shape), fields.label(1000)))
    )
    experiment = build.experiment(config, info)
    captions = jax.tree_util.Partial(_told_of_text) if case.recipe == SD15 else None
    return Subject(experiment, Fixed(experiment.space, None, captions))


def config_of(recipe: str) -> ConfigDict:
    """The config of a recipe.

    Raises:
        UserError: there is none.
    """
    return _sd15() if recipe == SD15 else recipes.get(recipe)


def _sd15() -> ConfigDict:
    """The U-Net of Stable Diffusion 1.5 in its released sizes, trained as it was."""
    config = configs.default("cross_unet")
    config.data.name = "arrays"
    config.space.name = "latents"
    config.space.latents.scale = (0.18215,)
    config.sde.name = "ddpm"
    config.objective.denoising.times = "discrete"
    config.model.noise_label = "time"
    return config


def _told_of_text(batch: Mapping[str, jax.Array], key: jax.Array | None) -> dict[str, jax.Array]:
    """Vectors of tokens are data here: the encoder of texts is no part of the network."""
    del key
    return {"text": batch["text"]}


def _random(rng: np.random.Generator, field: Field, shape: tuple[int, ...]) -> np.ndarray:
    shape = (*shape, *field.shape)
    if field.values:
        return rng.integers(field.values, size=shape).astype(field.dtype)
    return rng.standard_normal(shape).astype(field.dtype)
