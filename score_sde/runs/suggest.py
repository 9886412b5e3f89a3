"""A starting config for a data set that nobody has trained on: values, and the reason of each.

What is measured is in evaluation/states.py, what follows from it in runs/noise_rules.py. The
network, its batch and its steps are those of a recipe for examples of this kind; process, loss and
noise levels are EDM's (Karras et al. 2022, arXiv 2206.00364), which scale with the data.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from score_sde import keys, spaces
from score_sde.data import Source
from score_sde.errors import UserError
from score_sde.evaluation.states import States, measure
from score_sde.fields import Field
from score_sde.models.shapes import level_sizes
from score_sde.runs import build, noise_rules, recipes
from score_sde.runs import config as configs
from score_sde.runs.experiment import Experiment
from score_sde.runs.loss_curve import LossCurve
from score_sde.spaces import Space
from score_sde.training import memory

_NUMBERS = 2**22  # of states that are encoded at a time
_BYTES = 32  # that each takes there: as it is read, in float32 and, to be added up, in float64
_DIFFERENT = 1.25  # from one channel to another, of standard deviations
_SMALL = 16  # pixels of a side, below which images are of the size of digits

# Karras et al. 2022, Table 1: preconditioning and weighting.
_EDM = {
    "sde.name": "edm",
    "model.parametrization": "edm",
    "model.noise_label": "log_sigma",
    "objective.denoising.weighting": "edm",
    "objective.denoising.times": "log_normal",
}


@dataclasses.dataclass(frozen=True)
class Value:
    """One thing that is suggested.

    Attributes:
        name: what it is called in papers.
        value: in words.
        reason: why, one line.
        fields: of a config, by dotted path, which it sets; none where it is only to be known.
    """

    name: str
    value: str
    reason: str
    fields: dict[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Suggestion:
    """A config and its reasons.

    Attributes:
        states: what the states of the data are like.
        field: of the data set, what is modelled.
        values: what is suggested, and why.
        recipe: what the config starts from, for recipes.get.
        fields: by dotted path, in which it differs from the recipe.
    """

    states: States
    field: Field
    values: tuple[Value, ...]
    recipe: str
    fields: dict[str, Any]


def suggest(
    source: Source, data: dict[str, Any], num: int, seed: int, curve: LossCurve | None = None
) -> Suggestion:
    """Look at a sample and suggest a config.

    Args:
        source: the training examples.
        data: the fields of the section `data` of a config that name them.
        num: look at so many examples, or at all.
        seed: of their choice, which is random and without repeats.
        curve: the loss by noise level of a run of these data, if there is one.

    Raises:
        UserError: the examples cannot be modelled, or the curve says nothing.
    """
    kinds = ("image", "vector") if curve is None else spaces.kinds(curve.space)
    field = source.info.of_kinds(kinds, data["field"])
    recipe = _recipe(field)
    config = recipes.get(recipe)
    section = config.space.to_dict() if curve is None else curve.space
    space = spaces.read(section, field).fitted(source, field.name)
    states = _measured(source, field, space, num, seed)
    values = _values(states, space, curve)
    fields = {f"data.{name}": value for name, value in data.items()}
    fields |= {f"space.{path}": value for path, value in configs.flatten(section)}
    fields |= _EDM | _network(field, config)
    if field.kind == "vector" and field.shape != (2,):  # there is no map of its density
        fields["evaluation.metrics"] = ("log_likelihood",)
    for value in values:
        fields |= value.fields
    changed = {path: value for path, value in fields.items() if _field(config, path) != value}
    for path, value in changed.items():
        configs.set_field(config, path, value)
    network = _of_recipe(recipe, build.experiment(config, source.info))
    return Suggestion(states, field, (*values, network), recipe, changed)


def _measured(source: Source, field: Field, space: Space, num: int, seed: int) -> States:
    num, rng = min(num, len(source)), np.random.default_rng(seed)
    if num < 2:
        raise UserError(f"{source.info.name} has one example, which says nothing of others")
    numbers = math.prod(space.shape)
    needed = _BYTES * max(numbers, min(num * numbers, _NUMBERS))
    memory.check(f"an example of {field.words}", needed, memory.of_host(), "give --image_size=N")
    positions = np.sort(rng.choice(len(source), num, replace=False))
    at_once, key = max(1, _NUMBERS // numbers), jax.random.key(seed)

    def states() -> Iterator[np.ndarray]:
        for start in range(0, num, at_once):
            rows = positions[start : start + at_once]
            examples = jnp.asarray(source.gather(rows)[field.name])
            yield np.asarray(space.encode(examples, keys.of_examples(key, jnp.asarray(rows))))

    try:
        found = measure(states(), num, len(source))
    except ValueError as error:
        raise UserError(f"{source.info.name}: {field.name}: {error}") from error
    if not found.std:
        raise UserError(f"{source.info.name}: all values of {field.name} are the same")
    return found


def _values(states: States, space: Space, curve: LossCurve | None) -> tuple[Value, ...]:
    """What follows from the states, in the order in which it is read."""
    lattice = space.lattice
    step = 2 * lattice.half_width if lattice else None
    low = _rounded(noise_rules.smallest_sigma(step, states.std))
    high = _rounded(noise_rules.largest_sigma(states.square))
    values = [_sigma_data(states), _sigma_min(low, step, lattice), _sigma_max(high, states)]
    values += _training_levels(states, curve)
    return (*values, *_langevin(states, low))


def _sigma_data(states: States) -> Value:
    error, sigma = states.std_error, _rounded(states.std)
    reason = (
        f"root mean square about the mean, {states.mean:.3g}, of all numbers"
        + (f"; standard error {error:.2g}" if error else "")
        + _channels(states)
    )
    return Value("sigma_data", f"{sigma:g}", reason, {"model.sigma_data": sigma})


def _channels(states: States) -> str:
    """What is to be known of channels that are unlike each other; "" if they are not."""
    stds = states.channel_stds
    if len(states.shape) < 2 or stds.max() <= _DIFFERENT * stds.min():
        return ""
    each = ", ".join(f"{std:.3g}" for std in stds)
    return f"; by channel {each}: one number fits none, rescale the channels if you can"


def _sigma_min(low: float, step: float | None, lattice: Any) -> Value:
    if step is None:
        reason = "continuous data: EDM's 0.002 / 0.5 of sigma_data"
    else:
        tiled = ", dequantised" if lattice.tiled else ""
        reason = (
            f"a quarter of the step {step:.3g} between {lattice.levels} levels{tiled}: less noise "
            "changes hardly any (EDM's 0.002 is that of 256 levels)"
        )
    return Value("sigma_min", f"{low:g}", reason, {"sde.t_min": low})


def _sigma_max(high: float, states: States) -> Value:
    reason = (
        f"{high / states.std:.3g} sigma_data: starting from noise alone costs at most "
        f"E|x|^2 / (2 sigma_max^2) = 1/16 nat, as EDM's 80 does for CIFAR-10"
    )
    return Value("sigma_max", f"{high:g}", reason, {"sde.t_max": high})


def _training_levels(states: States, curve: LossCurve | None) -> list[Value]:
    """P_mean, P_std and the shift for the resolution."""
    if curve is not None:
        try:
            found, ends = noise_rules.learnt_levels(curve.log_sigma, curve.relative(states.spread))
        except ValueError as error:
            raise UserError(f"{curve.workdir}: {error}") from error
        low, high = np.exp(ends)
        reason = (
            f"in {curve.workdir} at least half as much is learnt as anywhere for sigma from "
            f"{low:.2g} to {high:.2g}: 95 % of the draws are to fall there"
        )
        return [_p_mean(found, reason)]
    found = noise_rules.log_normal(states.std)
    values = [_p_mean(found, "EDM's -1.2 + log(sigma_data / 0.5), 1.2; --run=DIR measures instead")]
    if len(states.shape) == 3:
        height, width = states.shape[:2]
        shift = _rounded(noise_rules.resolution_shift(height * width))
        why = "sqrt(height * width) / 64" if shift > 1 else "EDM's levels go up to 64x64"
        fields = {"objective.denoising.time_shift": shift} if shift > 1 else {}
        values.append(
            Value("time_shift", f"{shift:g}", f"of {height}x{width} pixels: {why}", fields)
        )
    return values


def _p_mean(found: noise_rules.LogNormal, reason: str) -> Value:
    mean, std = _rounded(found.mean), _rounded(found.std)
    fields = {"objective.denoising.time_mean": mean, "objective.denoising.time_std": std}
    return Value("P_mean, P_std", f"{mean:g}, {std:g}", reason, fields)


def _langevin(states: States, low: float) -> list[Value]:
    """For VE and its corrector: the techniques of Song and Ermon 2020."""
    high = _rounded(states.distance)
    values = [
        Value(
            "VE sigma_max",
            f"{high:g}",
            f"technique 1 (arXiv 2006.09011): the largest distance between {states.compared:,} "
            "examples, so from below",
        )
    ]
    gamma = noise_rules.ratio_of_levels(states.dimension)
    if gamma is None or high <= low:
        return values
    levels = noise_rules.number_of_levels(low, high, gamma)
    snr = _rounded(noise_rules.langevin_snr((high / low) ** (1 / max(levels - 1, 1))))
    values += [
        Value(
            "VE levels",
            f"{levels}",
            f"technique 2: each at most {gamma:.3g} times the next, from sigma_max to sigma_min",
        ),
        Value(
            "Langevin snr",
            f"{snr:g}",
            "technique 4: one corrector step after each of these levels leaves the variance "
            "nearest to right",
        ),
    ]
    return values


def _recipe(field: Field) -> str:
    """The recipe of a network for such examples."""
    if field.kind == "vector":
        return "toy_moons"
    return "digits_vp" if min(field.shape[:2]) < _SMALL else "small_images"


def _of_recipe(recipe: str, experiment: Experiment) -> Value:
    """The network, its batch and its steps, which the recipe has."""
    side, network = max(experiment.space.shape[:2]), experiment.config.model.name
    large = f"; for {noise_rules.PIXELS} pixels at most, so --image_size is a cheaper start"
    return Value(
        "recipe",
        recipe,
        f"{network} of {experiment.parameters:,} parameters, {experiment.training.words}"
        + (large if network == "unet" and side > noise_rules.PIXELS else ""),
    )


def _network(field: Field, config: ConfigDict) -> dict[str, Any]:
    """What the recipe's network has to change for images of this size: it halves their sides."""
    if field.kind != "image":
        return {}
    mult = tuple(config.model.channel_mult)
    while len(mult) > 1 and any(side % 2 ** (len(mult) - 1) for side in field.shape[:2]):
        mult = mult[:-1]
    sizes, attended = level_sizes(field.shape, len(mult)), tuple(config.model.attn_resolutions)
    if not set(sizes) & set(attended):
        attended = ()
    return {"model.channel_mult": mult, "model.attn_resolutions": attended}


def _field(config: ConfigDict, path: str) -> Any:
    section: Any = config
    for name in path.split("."):
        section = section[name]
    return section


def _rounded(value: float) -> float:
    """To four digits, which is what a sample can tell."""
    return float(f"{value:.4g}")
