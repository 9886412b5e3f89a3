"""What is asked of a model: functions from denoiser to denoiser, and the tasks made of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from score_sde import sections
from score_sde.guidance.autoguidance import Autoguidance, autoguidance
from score_sde.guidance.classifiers import classifier
from score_sde.guidance.distilled import Distilled
from score_sde.guidance.free import ClassifierFree, classifier_free
from score_sde.guidance.gradients import dps, moments, pigdm
from score_sde.guidance.measurement import Measurement
from score_sde.guidance.observation import (
    Colorization,
    Inpainting,
    Motif,
    Observation,
    SuperResolution,
)
from score_sde.guidance.operators import (
    Average,
    Blur,
    ChannelMean,
    Elements,
    Function,
    Mutual,
    Operator,
)
from score_sde.guidance.projected import AdaptiveProjected, adaptive_projected
from score_sde.guidance.rule import NOBODY, Rule
from score_sde.guidance.skip_layers import SkipLayerGuidance, skip_layers
from score_sde.guidance.split_gibbs import SplitGibbs

__all__ = [
    "RULES",
    "SHARED",
    "Autoguidance",
    "Average",
    "Blur",
    "ChannelMean",
    "ClassifierFree",
    "Colorization",
    "Distilled",
    "Elements",
    "Function",
    "Inpainting",
    "Measurement",
    "Motif",
    "Mutual",
    "Observation",
    "Operator",
    "Rule",
    "SkipLayerGuidance",
    "SplitGibbs",
    "SuperResolution",
    "adaptive_projected",
    "autoguidance",
    "classifier",
    "classifier_free",
    "dps",
    "moments",
    "pigdm",
    "read",
    "skip_layers",
    "unread",
]

# Those that a config can ask for; guidance by a classifier is a task, whose flags name one.
RULES: dict[str, type[Rule]] = {
    "classifier_free": ClassifierFree,
    "autoguidance": Autoguidance,
    "adaptive_projected": AdaptiveProjected,
    "distilled": Distilled,
}

# Options that several of them have; the others are in a section of each one's name.
SHARED = ("scale", "interval", "rescale", "keeps")


def read(section: Mapping[str, Any]) -> Rule:
    """The rule that a section `guidance` of a config names, with those options that it has.

    Raises:
        ValueError: there is none, or an option cannot work.
    """
    name = section["name"]
    return RULES[name](NOBODY, **sections.options("guidance", RULES, name, section, SHARED))


def unread(name: str) -> set[str]:
    """The options and sections of a section `guidance` that the rule of this name does not read."""
    return sections.unread(RULES, [name], SHARED)
