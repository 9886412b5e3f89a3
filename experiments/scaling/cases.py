"""The recipes whose steps are predicted: what they compute, and what their parameters are."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from score_sde import fields
from score_sde.data import Info, selection
from score_sde.models.functional import Functional
from score_sde.runs import build, recipes
from score_sde.runs import config as configs
from score_sde.runs.experiment import Experiment
from score_sde.training import flops

_LATENTS = {"imagenet256_dit": (32, 32, 4)}


@dataclasses.dataclass(frozen=True)
class Case:
    """A recipe.

    Attributes:
        name: of the recipe.
        batch: of the recipe.
        network: what is trained.
        flops: of the gradient of one example's loss, in products and convolutions.
        tokens: of an example, of a transformer; 0 of another network.
        copies: arrays of the parameters' size in the state: themselves, two moments, averages.
    """

    name: str
    batch: int
    network: Functional
    flops: float
    tokens: int
    copies: int

    @property
    def parameters(self) -> int:
        """How many there are."""
        return sum(array.size for array in self.network.shapes[0].values())


def experiment_of(
    recipe: str, changes: Mapping[str, Any] = MappingProxyType({}), mesh: Mesh | None = None
) -> Experiment:
    """A recipe with other values of some fields, by their dotted paths, on a mesh."""
    config = recipes.get(recipe)
    for path, value in changes.items():
        configs.set_field(config, path, value)
    shape = _LATENTS.get(recipe)
    info = (
        selection.read(config.data).describe()
        if shape is None
        else Info("latents", "train", 1, (fields.latent(shape), fields.label(1000)))
    )
    return build.experiment(config, info, mesh)


def batch_of(experiment: Experiment, shape: tuple[int, ...]) -> dict[str, jax.ShapeDtypeStruct]:
    """Examples, as shapes alone, [*shape, ...] each."""
    told = (*experiment.conditions, *experiment.objective.fields)
    found = dict.fromkeys((experiment.field.name, *told))
    return {
        name: jax.ShapeDtypeStruct(
            (*shape, *experiment.data[name].shape), experiment.data[name].dtype
        )
        for name in found
    }


def read(recipe: str, changes: Mapping[str, Any] = MappingProxyType({})) -> Case:
    """A recipe, whose operations are counted from what JAX traces of one example."""
    experiment = experiment_of(recipe, changes)
    network = experiment.network

    def loss(params: Any, constants: Any, batch: Any) -> jax.Array:
        key, step = jax.random.key(0), jnp.int32(0)
        return experiment.loss(key, params, constants, experiment.fixed, batch, step).mean()

    gradient = jax.value_and_grad(loss)
    model = experiment.config.model
    side = getattr(model, "patch", 0) or (2 if "size" in model else 0)
    tokens = experiment.space.shape[0] * experiment.space.shape[1] // side**2 if side else 0
    return Case(
        recipe,
        experiment.training.batch_size,
        network,
        flops.count(gradient, *network.shapes, batch_of(experiment, (1,))),
        tokens,
        3 + len(experiment.training.averages),
    )
