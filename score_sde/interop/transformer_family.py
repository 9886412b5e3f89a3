"""Checkpoints of DiT, SiT and U-ViT as families of released files; see families, dit and uvit.

No file says how many heads there are: a published width has those that were published, another
one for every 64 features, unless "num_heads" stands beside it (beside.arguments). Nor does one say
the process, which is the authors':

    DiT             ddpm, 1000 levels, beta from 1e-4 to 0.02; it predicts the noise
    SiT             rectified_flow: the linear path, and the velocity
    U-ViT           vp on pixels, the levels of latent diffusion on latents; it predicts the noise

SiT's network is told the time from noise, 0, to data, 1, and gives the velocity of that time, the
negative of ours. So the arrays of its last layer change their sign; those of a second half of its
output, which its own code does not read, are left out, and are zero in what is exported.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from score_sde.fields import Field
from score_sde.interop import dit, proposal, uvit
from score_sde.interop.dit import Described
from score_sde.interop.released import Released
from score_sde.interop.slots import Slots
from score_sde.models.dit import DiT
from score_sde.models.uvit import UViT
from score_sde.runs.experiment import Experiment

_EPS = 1e-6  # of every norm of a DiT
_FEATURES = 64  # of a head, where nothing says it


def propose_dit(released: Released) -> ConfigDict:
    """The config of a DiT; see families."""
    found = dit.describe(released.arrays)
    learnt = found.options.pop("learn_variance")
    values = {
        **_data(found),
        **_model(found, released),
        "conditions.label.dropout": 0.1,
        "sde.name": "ddpm",
        "model.parametrization": "eps",
        "model.noise_label": "time",
        **proposal.learned_variance(learnt),
        **proposal.training(1e-4, 256),
        "optim.clip": 0.0,
    }
    return proposal.config("dit", values)


def propose_sit(released: Released) -> ConfigDict:
    """The config of a SiT; see families.

    Raises:
        ValueError: the file says that it was trained on another path, or predicts something else.
    """
    said = released.facts.get("training", {})
    for name, usual in (("path_type", "Linear"), ("prediction", "velocity")):
        if (value := said.get(name, usual)) != usual:
            raise ValueError(f"{name}={value!r:.40} of a SiT is not imported: {usual} is")
    found = dit.describe(released.arrays)
    found.options.pop("learn_variance")
    values = {
        **_data(found),
        **_model(found, released),
        "conditions.label.dropout": 0.1,
        "sde.name": "rectified_flow",
        "model.parametrization": "velocity",
        "model.noise_label": "reversed_time",
        "objective.name": "flow_matching",
        "sampling.sampler": "heun",
        "sampling.steps": 50,
        **proposal.training(1e-4, 256),
        "optim.clip": 0.0,
    }
    return proposal.config("dit", values)


def propose_uvit(released: Released) -> ConfigDict:
    """The config of a U-ViT; see families."""
    found = uvit.describe(released.arrays)
    found.options.pop("learn_variance")
    values = {
        **_data(found),
        **_model(found, released),
        "conditions.label.dropout": 0.1,
        "model.parametrization": "eps",
        **(_LATENT if proposal.is_latent(found.shape) else _PIXELS),
        "sampling.steps": 50,
        **proposal.training(2e-4, 1024),
        "optim.clip": 0.0,
    }
    return proposal.config("uvit", values)


_PIXELS = {"sde.name": "vp", "sde.beta_min": 0.1, "sde.beta_max": 20.0, "model.noise_label": "time"}
_LATENT = {
    "sde.name": "ddpm",
    "sde.schedule": "scaled_linear",
    "sde.beta_min": 0.85,
    "sde.beta_max": 12.0,
    "model.noise_label": "level_from_one",
    "objective.denoising.times": "discrete",
}


def _data(found: Described) -> dict[str, Any]:
    values = proposal.data(found.shape, found.classes or 0)
    if proposal.is_latent(found.shape):
        values["space.latents.scale"] = (proposal.LATENT_SCALE,)
    return values


def _model(found: Described, released: Released) -> dict[str, Any]:
    heads = released.arguments.get("num_heads") or found.options.get("heads")
    heads = heads or max(1, found.options["channels"] // _FEATURES)
    return {f"model.{name}": value for name, value in {**found.options, "heads": heads}.items()}


def fields_dit(released: Released, config: ConfigDict) -> tuple[Field, ...]:
    """See families.Family."""
    found = dit.describe(released.arrays)
    return proposal.described(found.shape, found.classes or 0)


def fields_uvit(released: Released, config: ConfigDict) -> tuple[Field, ...]:
    """See families.Family."""
    found = uvit.describe(released.arrays)
    return proposal.described(found.shape, found.classes or 0)


def slots_dit(model: DiT, released: Released) -> Slots:
    """See families."""
    return dit.slots(model)


def slots_sit(model: DiT, released: Released) -> Slots:
    """See families."""
    return dit.slots(model, dit.Flow(_outputs(released.arrays) > model.dense_out.kernel.shape[1]))


def slots_uvit(model: UViT, released: Released) -> Slots:
    """See families."""
    return uvit.slots(model, len(released.arrays.get(uvit.TABLE, ())))


def _outputs(arrays: Mapping[str, np.ndarray]) -> int:
    return len(arrays["final_layer.linear.weight"])


def export_dit(model: DiT, experiment: Experiment, path: Path) -> Slots:
    """Every array of a DiT."""
    return dit.slots(model)


def export_sit(model: DiT, experiment: Experiment, path: Path) -> Slots:
    """Every array of a SiT as they were released."""
    return dit.slots(model, dit.Flow(doubled=True))


def export_uvit(model: UViT, experiment: Experiment, path: Path) -> Slots:
    """Every array of a U-ViT."""
    return uvit.slots(model)


def is_dit(experiment: Experiment) -> bool:
    """Whether a network has no option that the authors' does not have and no array shows."""
    model = experiment.config.model
    return (
        model.norm == "layer"
        and model.feed_forward == "gelu_tanh"
        and model.layers_eps == _EPS
        and not (model.closed or model.qk_norm or model.rope or model.registers)
    )


def is_sit(experiment: Experiment) -> bool:
    """The same, and whether its time and output are those of a SiT, but for their signs."""
    config = experiment.config
    return (
        is_dit(experiment)
        and config.sde.name == "rectified_flow"
        and config.model.parametrization == "velocity"
        and config.model.noise_label == "reversed_time"
    )
