"""A released pipeline in one file, in the layout of the code that trained it.

    what                     prefix of its names
    network                  model.diffusion_model. (of Flux and SD 3 also none); its moving
                             average, if it is there, model_ema. without the points
    autoencoder              first_stage_model. or vae.
    text encoders, SD 1, 2   cond_stage_model.transformer., cond_stage_model.model.
      SDXL                   conditioner.embedders.0.transformer., conditioner.embedders.1.model.
      its refiner            conditioner.embedders.0.model.
      SD 3, Flux             text_encoders.clip_l.transformer., .clip_g., .t5xxl.

Such a file has neither tokenisers nor a config: shapes say most of what a config.json would, and
what they do not say is that of the model that was released with such shapes. A folder of components
beside it (sources.Together) says what is otherwise.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from score_sde.formats import safetensors
from score_sde.interop import containers
from score_sde.interop.components import (
    original,
    original_autoencoder,
    original_text,
    original_transformers,
    original_unet,
)
from score_sde.interop.released import Arrays
from score_sde.interop.sources import Values

_NETWORK = original_unet.PREFIX
_AVERAGE = "model_ema."
_AUTOENCODERS = (original_autoencoder.PREFIX, "vae.")
_COMMON = "text_encoders."
_OTHERS = (*_AUTOENCODERS, _COMMON)
_SUFFIXES = (safetensors.SUFFIX, ".ckpt")

_DDPM = {
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "num_train_timesteps": 1000,
    "steps_offset": 1,
    "clip_sample": False,
    "set_alpha_to_one": False,
}
_FLOW = {"_class_name": "FlowMatchEulerDiscreteScheduler", "num_train_timesteps": 1000}


class Kind(NamedTuple):
    """What files of a released family hold, and what they do not say.

    Attributes:
        pipeline: the class that a model_index.json would name.
        encoders: the prefixes of the text encoders, in order; "" of one that is missing.
        scheduler: the values of its scheduler_config.json.
        side: of the network's latents.
        scaling: values of the autoencoder's config.json.
        index: values of model_index.json.
    """

    pipeline: str
    encoders: tuple[str, ...]
    scheduler: Values
    side: int
    scaling: Values
    index: Mapping[str, object] = MappingProxyType({})


SD1 = Kind(
    "StableDiffusionPipeline",
    ("cond_stage_model.transformer.",),
    {"_class_name": "PNDMScheduler", "skip_prk_steps": True, **_DDPM},
    64,
    {"scaling_factor": 0.18215},
)
SD2 = Kind(
    "StableDiffusionPipeline",
    ("cond_stage_model.model.",),
    {"_class_name": "DDIMScheduler", "prediction_type": "v_prediction", **_DDPM},
    96,
    {"scaling_factor": 0.18215},
)
SDXL = Kind(
    "StableDiffusionXLPipeline",
    ("conditioner.embedders.0.transformer.", "conditioner.embedders.1.model."),
    {"_class_name": "EulerDiscreteScheduler", "timestep_spacing": "leading", **_DDPM},
    128,
    {"scaling_factor": 0.13025},
)
REFINER = SDXL._replace(
    pipeline="StableDiffusionXLImg2ImgPipeline",
    encoders=("", "conditioner.embedders.0.model."),
    index={"requires_aesthetics_score": True, "force_zeros_for_empty_prompt": False},
)
SD3 = Kind(
    "StableDiffusion3Pipeline",
    tuple(f"{_COMMON}{name}.transformer." for name in ("clip_l", "clip_g", "t5xxl")),
    {**_FLOW, "shift": 3.0},
    128,
    {"scaling_factor": 1.5305, "shift_factor": 0.0609},
)
FLUX = Kind(
    "FluxPipeline",
    tuple(f"{_COMMON}{name}.transformer." for name in ("clip_l", "t5xxl")),
    {**_FLOW, "shift": 3.0, "use_dynamic_shifting": True},
    128,
    {"scaling_factor": 0.3611, "shift_factor": 0.1159},
)
_FEW_STEPS = {**_FLOW, "shift": 1.0}  # of the Flux that is told no guidance


@dataclasses.dataclass(frozen=True)
class SingleFile:
    """The components that a file has; see sources.Source.

    Attributes:
        path: the file.
        kind: of what family it is.
        network: the arrays of its network, without a prefix.
        others: those of its other components, by the names of their folders.
        about: what its network says of itself, as values of a config.json.
        velocity: whether the file says that the network's output is v.
    """

    path: Path
    kind: Kind
    network: Arrays
    others: Mapping[str, Arrays]
    about: Values
    velocity: bool

    @property
    def _folder(self) -> str:
        """What the folder of the network would be called."""
        return "unet" if "block_out_channels" in self.about else "transformer"

    def index(self) -> Values:
        """See sources.Source."""
        encoders = {
            name: ["transformers", config["architectures"][0]]
            for name in self.others
            if name.startswith("text_encoder") and (config := self.config(name))
        }
        found = {"_class_name": self.kind.pipeline, self._folder: ["", self.about["_class_name"]]}
        return {**self.kind.index, **found, "vae": ["", "AutoencoderKL"], **encoders}

    def config(self, name: str) -> Values | None:
        """See sources.Source."""
        if name == self._folder:
            return {**self.about, "sample_size": self.kind.side}
        if (arrays := self.others.get(name)) is None:
            return None
        if name == "vae":
            return original_autoencoder.config(arrays) | self.kind.scaling
        if "shared.weight" in arrays:
            return original_text.t5_config(arrays)
        return original_text.clip_config(arrays, cut=self.kind is SD2)

    def arrays(self, name: str) -> Arrays | None:
        """See sources.Source."""
        if name == "unet" and name == self._folder:
            modules = original_unet.modules(*original_unet.structure(self.network))
            return original.renamed(self.network, modules)
        if name == self._folder:
            return self.network
        if (arrays := self.others.get(name)) is None or name != "vae":
            return arrays
        config = original_autoencoder.config(arrays)
        levels = len(config["block_out_channels"])
        return original.renamed(
            arrays, original_autoencoder.modules(levels, config["layers_per_block"])
        )

    def tokenizer(self, name: str) -> None:
        """See sources.Source."""

    def scheduler(self, name: str = "scheduler") -> Values | None:
        """See sources.Source."""
        if name != "scheduler":
            return None
        if self.kind is FLUX and not self.about["guidance_embeds"]:
            return _FEW_STEPS
        known = self.kind.scheduler
        return {**known, "prediction_type": "v_prediction"} if self.velocity else known


def read(path: Path, averaged: bool = True) -> SingleFile:
    """The components of a file.

    Args:
        path: a .safetensors file, or a .ckpt.
        averaged: whether the network's moving average is taken, if the file has one.

    Raises:
        ValueError: it is damaged, or in no such layout.
        pickle.UnpicklingError: it asks for something other than data.
    """
    return _of(path, containers.arrays(path), averaged)


def is_single_file(path: Path) -> bool:
    """Whether a file holds a network of text-to-image in such a layout, by its names alone.

    Raises:
        ValueError, pickle.UnpicklingError, OSError: it cannot be read.
    """
    if path.suffix not in _SUFFIXES:
        return False
    arrays = containers.arrays(path)
    has_unet = f"{_NETWORK}input_blocks.0.0.weight" in arrays
    return has_unet or original_transformers.is_original(arrays)


def _of(path: Path, arrays: Arrays, averaged: bool) -> SingleFile:
    network = original.within(arrays, _NETWORK)
    if original_transformers.is_original(arrays):
        network = network or {
            name: array for name, array in arrays.items() if not name.startswith(_OTHERS)
        }
        about = original_transformers.config(network)
        kind = FLUX if about["_class_name"].startswith("Flux") else SD3
    elif network:
        network = _averaged(network, arrays) if averaged else network
        about, kind = original_unet.config(network), _kind(arrays)
    else:
        raise ValueError(f"{path} has no network in the layout of latent diffusion")
    others = {}
    for prefix in _AUTOENCODERS:
        if found := original.within(arrays, prefix):
            others["vae"] = found
    for i, prefix in enumerate(kind.encoders):
        if prefix and (found := original.within(arrays, prefix)):
            others[f"text_encoder_{i + 1}" if i else "text_encoder"] = found
    return SingleFile(path, kind, network, others, about, velocity="v_pred" in arrays)


def _kind(arrays: Arrays) -> Kind:
    """The family of a U-Net's file, by its text encoders, or by its own shapes."""
    for kind in (SDXL, REFINER, SD2, SD1):
        if any(name.startswith(kind.encoders[-1]) for name in arrays):
            return kind
    text = f"{_NETWORK}middle_block.1.transformer_blocks.0.attn2.to_k.weight"
    features = np.shape(arrays.get(text, ()))[-1:]
    if f"{_NETWORK}label_emb.0.0.weight" in arrays:
        return REFINER if features == (1280,) else SDXL
    return SD1 if features == (768,) else SD2


def _averaged(network: Arrays, arrays: Arrays) -> Arrays:
    """The moving average of a network, whose names there have no points; itself without one."""
    names = {
        name: _AVERAGE + f"{_NETWORK.removeprefix('model.')}{name}".replace(".", "")
        for name in network
    }
    if not all(average in arrays for average in names.values()):
        return network
    return {name: arrays[average] for name, average in names.items()}
