"""Fields of a config that were given and that nothing reads, because of another field.

They are no errors: a recipe may give what one sampler needs, and a flag choose another sampler. A
part of a value that nothing reads is one where the user wrote that value: it is a slip.
"""

from __future__ import annotations

from collections.abc import Sequence

from ml_collections import ConfigDict

from score_sde import objectives, sections
from score_sde.data.load import lies_in_a_folder
from score_sde.errors import UserError
from score_sde.models.shapes import level_sizes
from score_sde.prediction import PredictionOptions
from score_sde.runs import choices
from score_sde.runs.experiment import Experiment
from score_sde.samplers.grids import OPTIONS


def ignored(experiment: Experiment, config: ConfigDict, paths: Sequence[str]) -> list[str]:
    """A line for each field that has no effect, which says why.

    Args:
        experiment: what was or will be trained.
        config: what is asked of it now.
        paths: dotted fields, those that the user set.
    """
    reasons = _unread(experiment, config)
    found = []
    for path in dict.fromkeys(paths):
        for field, choice in reasons.items():
            if path == field or path.startswith(f"{field}."):
                section, name = choice.split(".")
                value = config[section][name]
                found.append(f"config.{path} has no effect with config.{choice}={value}")
                break
    return found


def unusual(experiment: Experiment, config: ConfigDict) -> list[str]:
    """A line for samples that are drawn otherwise than a model was made for.

    Args:
        experiment: what was trained.
        config: what is asked of it now.
    """
    made_for = experiment.objective.sampling
    if all(config.sampling[name] == value for name, value in made_for.items()):
        return []
    named = " ".join(f"--config.sampling.{name}={value}" for name, value in made_for.items())
    objective = config.objective.name
    return [f"a model of config.objective.name={objective} draws well with {named} alone"]


def check_parts(experiment: Experiment, paths: Sequence[str]) -> None:
    """Raise UserError if a part of a value has no effect.

    A recipe may name sizes of attention for more levels than a network has, and for images of
    other sizes; who names one for this network means a level of it.

    Args:
        experiment: what will be trained.
        paths: dotted fields, those that the user set.
    """
    model, path = experiment.config.model, "model.attn_resolutions"
    if path not in paths or model.name != "unet":
        return
    sides = [side // model.patch for side in experiment.space.shape[:2]]
    sizes = level_sizes(sides, len(model.channel_mult))
    for size in model.attn_resolutions:
        if size not in sizes:
            raise UserError(
                f"config.{path}={tuple(model.attn_resolutions)}: no level of this network is of "
                f"{size} pixels; they are of {', '.join(map(str, sizes))}"
            )


def _unread(experiment: Experiment, config: ConfigDict) -> dict[str, str]:
    """Fields and sections that nothing reads, with the field that is why."""
    told = [experiment.data[name].kind for name in config.conditions.fields]
    fields = choices.unread(config, told)
    for option in {name for options in OPTIONS.values() for name in options}:
        if option not in OPTIONS.get(config.sampling.grid, ()):
            fields.setdefault(f"sampling.{option}", "sampling.grid")
    if config.sampling.times:
        for option in ("steps", "grid"):
            fields.setdefault(f"sampling.{option}", "sampling.times")
    if config.sde.name == "ddpm" and config.sde.schedule == "cosine":
        fields |= dict.fromkeys(("sde.beta_min", "sde.beta_max"), "sde.schedule")
    if config.optim.name == "lion":
        fields["optim.eps"] = "optim.name"
    if not lies_in_a_folder(config.data.name):
        fields["data.dir"] = "data.name"
    if not experiment.objective.draws:
        of_drawing = [f"model.{name}" for name in sections.entries(PredictionOptions)]
        own = ("fsdp", "tensor")
        of_drawing += [f"sampling.{name}" for name in config.sampling if name not in own]
        of_drawing += ["guidance"]
        shown = experiment.objective.TRAINS == objectives.AUTOENCODER  # it knows of no noise
        of_drawing += ["sde"] if shown else ["training.sample_every"]
        return dict.fromkeys(of_drawing, "objective.name") | fields
    weighting = getattr(experiment.objective, "weighting", None)
    if "edm" not in (config.model.parametrization, weighting) and config.objective.name != "scm":
        fields["model.sigma_data"] = "model.parametrization"
    return fields
