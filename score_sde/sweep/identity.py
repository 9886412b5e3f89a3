"""What identifies a run: the hash of the settings that its numbers depend on.

Settings are values by the dotted path of their field, as they are in the end: not the words that
led to them, and of a sampler or process those options that it has. What stands at its default is
not hashed, so that neither a default that is spelt out nor a field that is new makes another run of
an old one. (A default that changes would make two runs one; `contradiction` finds that.)
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from ml_collections import ConfigDict

from score_sde.evaluation.engine import measurements
from score_sde.runs import build
from score_sde.runs import config as configs
from score_sde.sweep.program import Program

Settings = dict[str, Any]

# What does not change what a training arrives at: where the data lie, how often it reports, how the
# work is spread.
_NOT_TRAINING = (
    "sde",  # replaced by the options that the process has
    "sampling",
    "evaluation",
    "data.dir",
    "training.fsdp",
    "training.steps_per_call",
    "training.log_every",
    "training.eval_every",
    "training.sample_every",
    "training.checkpoint_every",
    "training.keep_last",
    "training.keep_every",
)
# What no number of an evaluation depends on; sections are taken one by one.
_NOT_EVALUATION = ("batch_size", "samples.keep")
_SAMPLES = "samples"  # the section of the metrics that judge what `sampling` draws


def of_training(config: ConfigDict) -> Settings:
    """The settings that determine what is trained."""
    found = _flat(config, without=_NOT_TRAINING)
    if config.data.name == "folder":  # of images: where they lie says which ones they are
        found["data.dir"] = config.data.dir
    return {**found, "sde.name": config.sde.name, **_options("sde", build.sde(config.sde))}


def of_measurement(config: ConfigDict, programs: Sequence[Program]) -> Settings:
    """The settings, beside those of the training, that determine what programs measure.

    Raises:
        UserError: there is no such metric or sampler, or an option cannot work.
    """
    read = {section for program in programs for section in program.reads}
    found: Settings = {}
    if "evaluation" in read:
        asked = measurements(config.evaluation.metrics, config.evaluation.to_dict())
        sections = {measurement.section for measurement in asked}
        found |= _of_evaluation(config, sections)
        if _SAMPLES in sections:
            found |= _of_sampling(config, config.evaluation.batch_size)
            del found["sampling.num_samples"]  # evaluation.samples says how many
    if "sampling" in read:
        found |= _of_sampling(config, config.sampling.batch_size)
    return found


def _of_evaluation(config: ConfigDict, sections: set[str]) -> Settings:
    """The general fields of the section `evaluation`, and of the sections in it these."""
    values = _flat(config.evaluation, without=_NOT_EVALUATION)
    return {
        f"evaluation.{path}": value
        for path, value in values.items()
        if "." not in path or path.split(".")[0] in sections
    }


def _of_sampling(config: ConfigDict, batch_size: int) -> Settings:
    """The sampler with those options that it has, and what else determines the images."""
    section, sampler = config.sampling, build.sampler(config.sampling)
    return {
        "sampling.sampler": type(sampler).__name__,  # PC1000 is a predictor-corrector
        "sampling.num_samples": section.num_samples,
        "sampling.seed": section.seed,
        **({"sampling.batch_size": batch_size} if sampler.coupling else {}),
        **_options("sampling", sampler),
    }


def fingerprint(settings: Settings, config: ConfigDict, programs: Sequence[Program]) -> str:
    """Twelve hexadecimal digits that stand for settings and the programs that use them.

    Args:
        settings: the settings.
        config: where they come from.
        programs: the programs, with their placeholders.
    """
    default = _defaults(config)
    changed = {path: v for path, v in settings.items() if path not in default or v != default[path]}
    words = [[*program.argv, program.collect, program.pattern] for program in programs]
    text = json.dumps([changed, words], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def contradiction(old: Mapping[str, Any], new: Mapping[str, Any]) -> str | None:
    """The first setting that two runs of one identity both have, with different values.

    Returns:
        "field was old and is new", or None.
    """
    for path in sorted(old.keys() & new.keys()):
        if old[path] != new[path]:
            return f"config.{path} was {old[path]} and is {new[path]}"
    return None


def _defaults(config: ConfigDict) -> Settings:
    """The defaults of all settings that have one."""
    values = _flat(configs.default(config.model.name), without=("sde", "sampling"))
    del values["model.name"]  # the defaults are those of this network
    values |= _flat_defaults("sde", build.sde(config.sde))
    if "sampling" in config:
        values |= _flat_defaults("sampling", build.sampler(config.sampling))
    return values


def _options(section: str, instance: Any) -> Settings:
    """The fields of an instance of a dataclass."""
    return {f"{section}.{name}": value for name, value in dataclasses.asdict(instance).items()}


def _flat_defaults(section: str, instance: Any) -> Settings:
    return {f"{section}.{field.name}": field.default for field in dataclasses.fields(instance)}


def _flat(config: ConfigDict, without: Sequence[str]) -> Settings:
    """The fields of a config by dotted path, as JSON values."""
    return {
        path: value
        for path, value in configs.flatten(configs.to_json(config))
        if not any(path == part or path.startswith(f"{part}.") for part in without)
    }
