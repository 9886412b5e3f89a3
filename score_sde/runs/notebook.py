"""Training from a script or a notebook: score_sde.train."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

from ml_collections import ConfigDict

from score_sde import data, processes
from score_sde.data import IN_MEMORY, Source, SplitError, arrays
from score_sde.errors import UserError
from score_sde.files import expanded
from score_sde.processes import SDE
from score_sde.runs import config as configs
from score_sde.runs import folder, recipes, session
from score_sde.runs.experiment import Experiment
from score_sde.runs.opened import AutoencoderRun, ClassifierRun, Run
from score_sde.training import checkpoint_folder

# For a process whose noise grows far beyond the data, as EDM's: its preconditioning and its loss
# (Karras et al. 2022, arXiv 2206.00364, Table 1), and steps of samplers over all of the noise.
_WIDE = {
    "model.parametrization": "edm",
    "model.noise_label": "log_sigma",
    "objective.denoising.weighting": "edm",
    "objective.denoising.times": "log_normal",
    "sampling.grid": "log_snr",
}
_FAR = 2.0  # times the data, whose standard deviation is about 1

Data = Source | arrays.Arrays | arrays.Draw | str | os.PathLike[str]


def train(
    examples: Data | None = None,
    config: ConfigDict | str | None = None,
    *,
    steps: int | None = None,
    sde: SDE | None = None,
    changes: Mapping[str, Any] | None = None,
    held_out: Source | arrays.Part | None = None,
    size: int = 10_000,
    workdir: str | os.PathLike[str] | None = None,
) -> Run | ClassifierRun | AutoencoderRun:
    """Train a model of some examples, and open it.

    XLA is as it was: what commands tell it, `score_sde.training.xla.begin()` does before the first
    array is made.

    Called again with the same folder it goes on from there, as the command does: what is not said
    is as it was. So it does with more steps, but where the learning rate falls along a cosine,
    which ends at the last step.

    Args:
        examples: what to model: an array, uint8 [n, height, width, channels] for images or float
            [n, d] for vectors; arrays by the names of their fields, or by split; a function
            draw(rng, n) that makes n examples; a `Source`; the path of a folder of images, of an
            .npz or of an .npy file. None for what the config names.
        config: a config, or the name or path of a recipe; by default small_images for images and
            toy_moons for vectors, or that of the run that goes on.
        steps: of training; what the config says if None.
        sde: the process in place of the config's; processes.from_alpha_sigma makes your own.
        changes: other fields of the config by dotted path: {"model.channels": 64}.
        held_out: examples for the held-out loss; if None every tenth, where examples are arrays.
        size: how many examples to draw, if they are a function.
        workdir: the run's folder; a temporary one if None.

    Returns:
        The run, as score_sde.load opens it: run.denoise, run.sde, run.space.

    Raises:
        UserError: the examples, a field or the folder cannot work; nothing was written.
        DivergedError: the loss or its gradient is no longer finite, or spikes again and again.
    """
    found = _section(examples, held_out, size)
    fields = {f"data.{name}": value for name, value in found.items()}
    begun = config is None and workdir is not None and _begun(expanded(workdir))
    new = config is None and not begun
    if sde is not None:
        fields |= _process(sde, new)
    if steps is not None:
        fields["training.steps"] = steps
    chosen = _default(found) if new else begun or _copy(config)
    _set(chosen, fields)
    if new:  # few steps are to be more than a warm-up
        chosen.optim.warmup = min(chosen.optim.warmup, chosen.training.steps // 10)
    config = _set(chosen, changes or {})
    configs.check_fields(config)
    configs.expand_paths(config)
    workdir = expanded(workdir or tempfile.mkdtemp(prefix="score_sde_"))

    def announce(experiment: Experiment, *_: object) -> None:
        print(f"training into {workdir}: {experiment.training.words}", flush=True)

    _, outcome = session.train(config, workdir, announce, given=tuple(changes or ()))
    if outcome.stopped_by is not None:
        print(session.stopped(outcome, "call"), flush=True)
    return folder.opened(workdir)


def _begun(workdir: Path) -> ConfigDict | None:
    """The config of a run that has a checkpoint."""
    if checkpoint_folder.latest(workdir / "checkpoints") is None:
        return None
    return configs.read(workdir)[0]


def _section(
    examples: Data | None, held_out: Source | arrays.Part | None, size: int
) -> dict[str, Any]:
    """The fields of the section `data` that name the examples; those in memory are registered."""
    if examples is None or isinstance(examples, str | os.PathLike):
        if held_out is not None:
            raise UserError("held_out goes with examples in memory: a path has splits of its own")
        if examples is None:
            return {}
        path = expanded(examples)
        if path.is_dir():
            return {"name": "folder", "dir": str(path)}
        return {"name": "arrays", "dir": str(path), "image_size": 0}
    data.register(IN_MEMORY, _opener(examples, held_out, size))
    return {"name": IN_MEMORY, "dir": "", "image_size": 0}


def _opener(
    examples: Source | arrays.Arrays | arrays.Draw, held_out: Source | arrays.Part | None, size: int
) -> Callable[[str], Source]:
    """Opens a split of examples in memory."""
    if callable(examples):
        if held_out is not None:
            raise UserError("held_out: a function draws its own held-out examples")
        return lambda split: arrays.function(examples, size, name=IN_MEMORY, split=split)
    if not isinstance(examples, Source):
        given = cast(
            arrays.Arrays,
            examples if held_out is None else {"train": examples, "test": held_out},
        )
        return lambda split: arrays.source(given, name=IN_MEMORY, split=split)
    if not isinstance(held_out, Source | None):
        raise UserError("held_out must be a Source, as the examples are")
    splits = {"train": examples, "test": held_out}

    def open(split: str) -> Source:
        found = splits.get(split)
        if found is None:
            raise SplitError(f"the examples that were given have no split {split!r}")
        return found

    return open


def _process(sde: SDE, alone: bool) -> dict[str, Any]:
    """The fields that name a process and, if no config does, the loss and steps that go with it."""
    try:
        fields = {f"sde.{name}": value for name, value in processes.section(sde).items()}
    except ValueError as error:
        raise UserError(str(error)) from error
    return fields | _WIDE if alone and sde.prior_std > _FAR else fields


def _set(config: ConfigDict, fields: Mapping[str, Any]) -> ConfigDict:
    for path, value in fields.items():
        configs.set_field(config, path, value)
    return config


def _default(found: Mapping[str, Any]) -> ConfigDict:
    """The recipe for these examples."""
    if not found:
        raise UserError("give examples, or a config that names them, such as config='digits_vp'")
    if found["name"] == "folder":
        config = recipes.get("small_images")
    else:
        info = data.load(found["name"], data_dir=found["dir"] or None).info
        if any(field.kind == "image" for field in info.fields):
            config = recipes.get("small_images:arrays")
        else:
            config = recipes.get("toy_moons")
            if info.of_kinds(("vector",)).shape != (2,):  # there is no map of its density
                config.evaluation.metrics = ("log_likelihood",)
    return config


def _copy(config: ConfigDict | str) -> ConfigDict:
    if isinstance(config, str):
        return recipes.get(config)
    return configs.from_json(configs.to_json(config))
