"""Released pipelines that draw of texts as runs: components of a folder or a file, see sources.

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

from flax import nnx
from ml_collections import ConfigDict

from score_sde import files, parts, text
from score_sde.data import Info
from score_sde.fields import Field
from score_sde.interop import abstract, proposal, single_file
from score_sde.interop.components import COMPONENTS, base
from score_sde.interop.components.stable_audio import PROJECTION
from score_sde.interop.importing import importing
from score_sde.interop.pipeline_spaces import IMAGES, SOUNDS, VAE, Drawn
from score_sde.interop.released import Arrays
from score_sde.interop.sources import (
    INDEX,
    TRANSFORMER,
    UNET,
    Folder,
    Moving,
    Projected,
    Source,
    Together,
)
from score_sde.models import NETWORKS, arguments
from score_sde.runs import begun, build, kept, schedulers, upscaling
from score_sde.runs.experiment import Experiment

_LOW = "low_res_scheduler"  # of noise on a small image that is made larger


class Kind(NamedTuple):
    """How pipelines of one class are put together.

    Attributes:
        text: the system by which prompts are told, a key of prompting.SYSTEMS.
        scale: of guidance.
        steps: of sampling.
        drawn: what they draw.
    """

    text: str
    scale: float
    steps: int
    drawn: Drawn = IMAGES


KINDS: Mapping[str, Kind] = {
    "StableDiffusionPipeline": Kind("clip", 7.5, 50),
    "StableDiffusionImg2ImgPipeline": Kind("clip", 7.5, 50),
    "StableDiffusionInpaintPipeline": Kind("clip", 7.5, 50),
    "StableDiffusionUpscalePipeline": Kind("clip", 9.0, 75),
    "StableDiffusionXLPipeline": Kind("sdxl", 5.0, 50),
    "StableDiffusionXLImg2ImgPipeline": Kind("sdxl", 5.0, 50),
    "StableDiffusionXLInpaintPipeline": Kind("sdxl", 7.5, 50),
    "StableDiffusion3Pipeline": Kind("sd3", 7.0, 28),
    "FluxPipeline": Kind("flux", 3.5, 28),
    "PixArtAlphaPipeline": Kind("t5", 4.5, 20),
    "DiTPipeline": Kind("none", 4.0, 50),
    "StableAudioPipeline": Kind("stable_audio", 7.0, 100, SOUNDS),
}
# What of the time a network is told, if it is not its time step.
_LABELS = {"mmdit": "thousandths", "flux": "sigma", "stable_audio": "angle"}
# Of config.text.sdxl, what a model_index.json says, and what it means where it says nothing.
_OF_XL = {
    "empty_is_zero": ("force_zeros_for_empty_prompt", True),
    "scored": ("requires_aesthetics_score", False),
}
_NETWORKS = {cls: name for name, cls in NETWORKS.items()}


class Pipeline(NamedTuple):
    """What a folder or a file holds.

    Attributes:
        path: of it.
        kind: how it is put together.
        index: the values of model_index.json.
        network: the name of its network, "unet" or "transformer".
        source: what gives its components.
    """

    path: Path
    kind: Kind
    index: Mapping[str, Any]
    network: str
    source: Source

    def config(self, name: str) -> dict[str, Any]:
        """The values of the config.json of a component."""
        return self._there(self.source.config(name), f"{name}/config.json")

    def arrays(self, name: str) -> Arrays:
        """The arrays of a component."""
        return self._there(self.source.arrays(name), name)

    def tokenizer(self, name: str) -> Path:
        """The folder of a tokeniser."""
        return self._there(self.source.tokenizer(name), name)

    def scheduler(self, name: str = "scheduler") -> dict[str, Any]:
        """The values of the scheduler_config.json in a folder."""
        return self._there(self.source.scheduler(name), name)

    def component(self, name: str) -> base.Component:
        """How a component becomes a network of ours."""
        config = self.config(name)
        said = config.get("_class_name") or next(iter(config.get("architectures") or [""]))
        if said not in COMPONENTS:
            raise ValueError(f"{name} of {self.path} is a {said!r:.60}, which is not known here")
        return COMPONENTS[said]

    @property
    def made(self) -> tuple[str, dict[str, Any]]:
        """The name of its network in models.NETWORKS, and the options of that."""
        component = self.component(self.network)
        options = component.options(self.config(self.network))
        return _NETWORKS[options.pop("network", component.make)], options

    @property
    def fields(self) -> tuple[Field, ...]:
        """Of an example of the data that its network was trained on, but for texts."""
        return self.kind.drawn.fields(self)

    @property
    def encoders(self) -> list[str]:
        """The names of its text encoders."""
        names = kept.numbered("text_encoder", 3)
        return [name for name in names if (self.index.get(name) or [None])[0] is not None]

    def _there(self, found: Any, name: str) -> Any:
        if found is None:
            raise ValueError(
                f"{self.path} has no {name}: give --components=FOLDER, a folder of the pipeline "
                "that has what is missing"
            )
        return found


def is_pipeline(path: Path) -> bool:
    """Whether a path is a folder of components, or a file of them.

    Raises:
        ValueError, pickle.UnpicklingError, OSError: a file cannot be read.
    """
    if path.is_file():
        return single_file.is_single_file(path)
    return (path / INDEX).is_file()


def opened(
    path: Path,
    components: Path | None = None,
    averaged: bool = True,
    motion: Path | None = None,
) -> Pipeline:
    """What a folder or a file holds.

    Args:
        path: a folder of components, or a file of them.
        components: of a file: a folder that says what the file does not; see sources.Together.
        averaged: of a file with both: whether the moving average of its network is taken.
        motion: the folder of a motion adapter, with which its U-Net draws videos.

    Raises:
        ValueError: it is of no known kind, or cannot be read.
    """
    source: Source = Folder(path) if path.is_dir() else single_file.read(path, averaged)
    if components is not None:
        if not components.is_dir():
            raise ValueError(f"--components={components} is no folder")
        source = Together(source, Folder(components))
    if motion is not None:
        if not motion.is_dir():
            raise ValueError(f"--motion={motion} is no folder")
        source = Moving(source, motion)
    index = source.index() or {}
    if index.get(PROJECTION):
        source = Projected(source)
    said = index.get("_class_name")
    if said not in KINDS:
        raise ValueError(f"{path} is a {said!r:.60}; known are {', '.join(KINDS)}")
    network = next((name for name in (UNET, TRANSFORMER) if index.get(name)), None)
    if network is None or not index.get(VAE):
        raise ValueError(f"{path} names no network, or no autoencoder")
    if motion is not None and network != UNET:
        raise ValueError(f"--motion is of a U-Net, and {path} has a transformer: leave it out")
    return Pipeline(path, KINDS[said], index, network, source)


def propose(path: Path, components: Path | None = None, motion: Path | None = None) -> ConfigDict:
    """The config that fits a folder or a file; arguments as of `opened`.

    Raises:
        ValueError: see `opened`; or a component has an option that is not known here.
    """
    found = opened(path, components, motion=motion)
    network, options = found.made
    values = found.kind.drawn.values(found)
    values |= {
        f"model.{name}": value
        for name, value in options.items()
        if name in arguments.options(NETWORKS[network])
    }
    values |= proposal.learned_variance(options.get("learn_variance", False))
    values |= schedulers.fields(found.scheduler())
    if network in _LABELS:
        values["model.noise_label"] = _LABELS[network]
    if found.kind.text == "sdxl":
        for name, (said, usual) in _OF_XL.items():
            values[f"text.sdxl.{name}"] = bool(found.index.get(said, usual))
        values["text.sdxl.first"] = "text_encoder" in found.encoders
    if found.kind.text == "sd3":
        values["text.sd3.features"] = options["text_features"]
    values |= {
        "text.name": found.kind.text,
        "guidance.scale": found.kind.scale,
        "sampling.steps": found.kind.steps,
    }
    return proposal.config(network, values)


def import_pipeline(config: ConfigDict, found: Pipeline, workdir: Path) -> int:
    """Make a run of a folder or a file; nothing in it is executed.

    Args:
        config: of the run, as `propose` gives it.
        found: what it holds, as `opened` gives it.
        workdir: the run's folder, which must be empty or missing.

    Returns:
        How many parameters its network has.

    Raises:
        ValueError: a component does not fit the config; nothing is left of the run then.
        UserError: the folder cannot be written, or is not empty.
    """
    experiment = build.experiment(config, Info(config.data.name, "train", 0, found.fields))
    with importing(workdir):
        with files.writing(workdir):
            (workdir / kept.FOLDER).mkdir()
        _network(found, experiment, workdir)
        of_vae = _NETWORKS[found.component(VAE).make]
        _part(found, VAE, "autoencoder", of_vae, experiment, workdir)
        for name in found.encoders:
            kind = "t5" if "T5" in str(found.index[name]) else "clip_text"
            _part(found, name, name, kind, experiment, workdir)
            _tokenizer(found, name, workdir)
        (workdir / kept.FOLDER / schedulers.FILE).write_text(json.dumps(found.scheduler()))
        if found.index.get(_LOW):
            low = found.scheduler(_LOW)
            if upscaling.MOST in found.index:
                low[upscaling.MOST] = found.index[upscaling.MOST]
            (workdir / kept.FOLDER / upscaling.FILE).write_text(json.dumps(low))
        begun.begin(workdir, config, experiment)
    return experiment.parameters


def _network(found: Pipeline, experiment: Experiment, workdir: Path) -> None:
    model = abstract.module(experiment)
    _write(found, found.network, kept.NETWORK, (kept.NETWORK, {}), model, experiment, workdir)


def _part(
    found: Pipeline,
    source: str,
    name: str,
    kind: str,
    experiment: Experiment,
    workdir: Path,
) -> None:
    component, config = found.component(source), found.config(source)
    model, options = base.abstract(component, config), component.options(config)
    _write(found, source, name, (kind, options), model, experiment, workdir)


def _tokenizer(found: Pipeline, encoder: str, workdir: Path) -> None:
    """Keep the tokeniser of a text encoder.

    Raises:
        ValueError: it is damaged, or has tokens for which the encoder has no vectors.
    """
    name = encoder.replace("text_encoder", "tokenizer")
    path, config = found.tokenizer(name), found.config(encoder)
    knows = base.abstract(found.component(encoder), config).embedding.table.shape[0]
    if (size := text.read(path).size) > knows:
        raise ValueError(
            f"{path} has the token {size - 1}, and the {encoder} knows {knows}: it is a tokeniser "
            "of another encoder"
        )
    shutil.copytree(path, workdir / kept.FOLDER / name)


def _write(
    found: Pipeline,
    source: str,
    name: str,
    what: tuple[str, Mapping[str, Any]],
    model: nnx.Module,
    experiment: Experiment,
    workdir: Path,
) -> None:
    """Write a component as a part of a run, see parts.write, without holding all of it."""
    placing = base.placing(
        found.component(source), found.config(source), found.arrays(source), model
    )
    shapes = placing.shapes(kept.kernels(experiment.config))
    parts.write(kept.path(workdir, name), *what, shapes, placing.each())
