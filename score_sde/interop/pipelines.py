"""Released text-to-image pipelines as runs: a folder of components, see interop.components.

The network, the autoencoder and the text encoders are written as parts of a run (runs.kept). Its
config says what the folder's own files do: the process and the solver of the scheduler, the scale
of the latents, how prompts are told.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
from flax import nnx
from ml_collections import ConfigDict

from score_sde import fields as of_data
from score_sde import files, parts, records
from score_sde.data import Info
from score_sde.errors import UserError
from score_sde.interop import proposal
from score_sde.interop.components import COMPONENTS, autoencoder, base, folder
from score_sde.interop.slots import to_params
from score_sde.models import NETWORKS, arguments
from score_sde.models.functional import streams
from score_sde.runs import build, kept, schedulers
from score_sde.runs import folder as runs
from score_sde.runs.held import held

INDEX = "model_index.json"


class Kind(NamedTuple):
    """How pipelines of one class are put together.

    Attributes:
        text: the system by which prompts are told, a key of prompting.SYSTEMS.
        scale: of guidance.
        steps: of sampling.
    """

    text: str
    scale: float
    steps: int


KINDS: Mapping[str, Kind] = {
    "StableDiffusionPipeline": Kind("clip", 7.5, 50),
    "StableDiffusionXLPipeline": Kind("sdxl", 5.0, 50),
    "StableDiffusion3Pipeline": Kind("sd3", 7.0, 28),
    "FluxPipeline": Kind("flux", 3.5, 28),
    "PixArtAlphaPipeline": Kind("t5", 4.5, 20),
}
# What of the time a network is told, if it is not its time step.
_LABELS = {"mmdit": "thousandths", "flux": "sigma"}
_NETWORKS = {cls: name for name, cls in NETWORKS.items()}


class Pipeline(NamedTuple):
    """What a folder holds.

    Attributes:
        path: the folder.
        kind: how it is put together.
        index: the values of model_index.json.
        network: the folder of its network, "unet" or "transformer".
    """

    path: Path
    kind: Kind
    index: Mapping[str, Any]
    network: str

    def config(self, name: str) -> dict[str, Any]:
        """The values of the config.json of a component."""
        return folder.config(self.path / name)

    def component(self, name: str) -> base.Component:
        """How a component becomes a network of ours."""
        config = self.config(name)
        said = config.get("_class_name") or next(iter(config.get("architectures") or [""]))
        if said not in COMPONENTS:
            raise ValueError(f"{self.path / name} is of {said!r:.60}, which is not known here")
        return COMPONENTS[said]

    @property
    def encoders(self) -> list[str]:
        """The folders of its text encoders."""
        names = kept.numbered("text_encoder", 3)
        return [name for name in names if (self.index.get(name) or [None])[0] is not None]


def is_pipeline(path: Path) -> bool:
    """Whether a path is a folder of components."""
    return (path / INDEX).is_file()


def opened(path: Path) -> Pipeline:
    """What a folder holds.

    Raises:
        ValueError: it is of no known kind, or cannot be read.
    """
    try:
        index = records.read(path / INDEX) or {}
    except ValueError as error:
        raise ValueError(f"{path / INDEX} {error}") from error
    said = index.get("_class_name")
    if said not in KINDS:
        raise ValueError(f"{path} is a {said!r:.60}; known are {', '.join(KINDS)}")
    network = next((name for name in ("unet", "transformer") if index.get(name)), None)
    if network is None or not index.get("vae"):
        raise ValueError(f"{path / INDEX} names no network, or no autoencoder")
    return Pipeline(path, KINDS[said], index, network)


def propose(path: Path) -> ConfigDict:
    """The config that fits a folder.

    Raises:
        ValueError: see `opened`; or a component has an option that is not known here.
    """
    found = opened(path)
    options = found.component(found.network).options(found.config(found.network))
    network = _NETWORKS[found.component(found.network).make]
    values: dict[str, Any] = _space(found)
    values |= {
        f"model.{name}": value
        for name, value in options.items()
        if name in arguments.options(NETWORKS[network])
    }
    values |= proposal.learned_variance(options.get("learn_variance", False))
    values |= schedulers.fields(_scheduler(found))
    if network in _LABELS:
        values["model.noise_label"] = _LABELS[network]
    if found.kind.text == "sdxl":
        zeros = found.index.get("force_zeros_for_empty_prompt", True)
        values["text.sdxl.empty_is_zero"] = bool(zeros)
    if found.kind.text == "sd3":
        values["text.sd3.features"] = options["text_features"]
    values |= {
        "text.name": found.kind.text,
        "guidance.scale": found.kind.scale,
        "sampling.steps": found.kind.steps,
        "data.name": "folder",
    }
    return proposal.config(network, values)


def import_pipeline(config: ConfigDict, path: Path, workdir: Path) -> int:
    """Make a run of a folder; nothing in it is executed.

    Args:
        config: of the run, as `propose` gives it.
        path: the folder.
        workdir: the run's folder, which must be empty or missing.

    Returns:
        How many parameters its network has.

    Raises:
        ValueError: a component does not fit the config; nothing is left of the run then.
        UserError: the folder cannot be written, or is not empty.
    """
    found = opened(path)
    experiment = build.experiment(config, Info(config.data.name, "train", 0, (_image(found),)))
    with held(workdir):
        if runs.occupied(workdir):
            raise UserError(f"{workdir} is not an empty folder; give another --workdir")
        with files.writing(workdir):
            (workdir / kept.FOLDER).mkdir(parents=True, exist_ok=True)
        try:
            _network(found, experiment, workdir)
            _part(found, "vae", "autoencoder", "autoencoder", workdir)
            for name in found.encoders:
                kind = "t5" if "T5" in str(found.index[name]) else "clip_text"
                _part(found, name, name, kind, workdir)
                tokenizer = name.replace("text_encoder", "tokenizer")
                if not (path / tokenizer).is_dir():
                    raise ValueError(f"{path} has no folder {tokenizer}, that of {name}")
                shutil.copytree(path / tokenizer, workdir / kept.FOLDER / tokenizer)
            (workdir / kept.FOLDER / schedulers.FILE).write_text(json.dumps(_scheduler(found)))
        except BaseException:
            shutil.rmtree(workdir / kept.FOLDER)
            raise
        runs.begin(workdir, config, experiment)
    return experiment.parameters


def _network(found: Pipeline, experiment: build.Experiment, workdir: Path) -> None:
    component, config = found.component(found.network), found.config(found.network)
    model = nnx.eval_shape(lambda: experiment.module(streams(0)))
    arrays = component.prepare(folder.arrays(found.path / found.network), config)
    params, constants = to_params(model, component.slots(model), arrays)
    parts.save(kept.path(workdir, kept.NETWORK), kept.NETWORK, {}, params, constants)


def _part(found: Pipeline, source: str, name: str, kind: str, workdir: Path) -> None:
    component, config = found.component(source), found.config(source)
    arrays = folder.arrays(found.path / source)
    _, (params, constants) = base.place(component, config, arrays, jnp.float32)
    parts.save(kept.path(workdir, name), kind, component.options(config), params, constants)


def _scheduler(found: Pipeline) -> dict[str, Any]:
    path = found.path / "scheduler" / schedulers.FILE
    try:
        values = records.read(path)
    except ValueError as error:
        raise ValueError(f"{path} {error}") from error
    if values is None:
        raise ValueError(f"{path} is missing")
    return values


def _space(found: Pipeline) -> dict[str, Any]:
    """The latents of its autoencoder."""
    config = found.config("vae")
    options, scaling = autoencoder.options(config), autoencoder.scaling(config)
    shift, scale = (tuple(map(float, _once(a))) for a in scaling)
    return {
        "space.name": "autoencoded",
        "space.autoencoded.factor": 2 ** (len(options["widths"]) - 1),
        "space.autoencoded.channels": options["latent_channels"],
        "space.autoencoded.scale": scale,
        "space.autoencoded.shift": shift,
        "data.image_size": _image(found).shape[0],
    }


def _once(numbers: Any) -> Any:
    """One number where all channels have the same."""
    return numbers[:1] if (numbers == numbers[0]).all() else numbers


def _image(found: Pipeline) -> of_data.Field:
    """The images that its network was trained on."""
    options = autoencoder.options(found.config("vae"))
    size = found.config(found.network).get("sample_size", 64)
    side = size * 2 ** (len(options["widths"]) - 1)
    return of_data.image((side, side, options["image_channels"]))
