"""What is trained: a loss for each example of a batch. One objective a file."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from score_sde import sections
from score_sde.objectives.autoencoding import Autoencoding
from score_sde.objectives.base import (
    AUTOENCODER,
    CLASSIFIER,
    CONSISTENCY,
    DENOISER,
    FLOW_MAP,
    OWN,
    TOKEN_PREDICTOR,
    Objective,
    is_a,
    with_article,
)
from score_sde.objectives.classification import Classification
from score_sde.objectives.denoising import Denoising
from score_sde.objectives.ect import ECT
from score_sde.objectives.flow_matching import FlowMatching
from score_sde.objectives.guidance_distillation import GuidanceDistillation
from score_sde.objectives.ict import ICT
from score_sde.objectives.masked import MaskedBound
from score_sde.objectives.mean_flow import MeanFlow
from score_sde.objectives.progressive import Progressive
from score_sde.objectives.scm import SCM
from score_sde.objectives.shortcut import Shortcut
from score_sde.objectives.variational_diffusion import VariationalDiffusion

__all__ = [
    "AUTOENCODER",
    "CLASSIFIER",
    "CONSISTENCY",
    "DENOISER",
    "ECT",
    "FLOW_MAP",
    "ICT",
    "OBJECTIVES",
    "OWN",
    "SCM",
    "SHARED",
    "TOKEN_PREDICTOR",
    "Autoencoding",
    "Classification",
    "Denoising",
    "FlowMatching",
    "GuidanceDistillation",
    "MaskedBound",
    "MeanFlow",
    "Objective",
    "Progressive",
    "Shortcut",
    "VariationalDiffusion",
    "is_a",
    "read",
    "with_article",
]

OBJECTIVES: dict[str, type[Objective]] = {
    "denoising": Denoising,
    "flow_matching": FlowMatching,
    "variational": VariationalDiffusion,
    "mean_flow": MeanFlow,
    "shortcut": Shortcut,
    "ect": ECT,
    "ict": ICT,
    "scm": SCM,
    "progressive": Progressive,
    "guidance_distillation": GuidanceDistillation,
    "classification": Classification,
    "autoencoding": Autoencoding,
    "masked": MaskedBound,
}

# Options that several of them have; the others are in a section of each one's name.
SHARED = ("t_min", "stratified")


def read(section: Mapping[str, Any], given: Mapping[str, Any]) -> Objective:
    """The objective that a section `objective` of a config names.

    Args:
        section: its name and the options of all.
        given: what an objective is given from elsewhere, if it has a field of that name.

    Raises:
        ValueError: the name is unknown, or a value cannot work.
    """
    name = section["name"]
    options = sections.options("config.objective.name", OBJECTIVES, name, section, SHARED)
    fields = [field.name for field in dataclasses.fields(OBJECTIVES[name])]
    options |= {name: value for name, value in given.items() if name in fields}
    try:
        return OBJECTIVES[name](**options)
    except ValueError as error:
        raise ValueError(f"config.objective.{name}: {error}") from error
