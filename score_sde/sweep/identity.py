"""What identifies a run: the hash of the settings that its numbers depend on.

Settings are values by the dotted path of their field, as they are in the end: not the words that
led to them, and of a sampler or process those options that it has. What stands at its default is
not hashed, so that neither a default that is spelt out nor a field that is new makes another run of
an old one. (A default that changes would make two runs one; `contradiction` finds that.)
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from ml_collections import ConfigDict

from score_sde import guidance, processes, samplers, sections
from score_sde.data import BY_PATH
from score_sde.evaluation import asked as evaluation
from score_sde.evaluation.metric import SAMPLES
from score_sde.processes import SDE
from score_sde.runs import config as configs
from score_sde.runs import sampling
from score_sde.sweep.program import Program

Settings = dict[str, Any]

# What does not change what a training arrives at: where the data lie, how often it reports, how the
# work is spread.
_NOT_TRAINING = (
    "sde",  # replaced by the options that the process has
    "sampling",
    "guidance",
    "evaluation",
    "data.dir",
    "training.fsdp",
    "training.tensor",
    "training.steps_per_call",
    "training.log_every",
    "training.eval_every",
    "training.sample_every",
    "training.checkpoint_every",
    "training.keep_last",
    "training.keep_every",
    "training.ema_snapshot_every",
)
# What no number of an evaluation depends on; sections are taken one by one.
_NOT_EVALUATION = ("batch_size", "samples.keep")


def of_training(config: ConfigDict) -> Settings:
    """The settings that determine what is trained."""
    found = _flat(config, without=_NOT_TRAINING)
    named = {section: part.name for section, part in config.items() if "name" in _names(part)}
    found = {path: value for path, value in found.items() if not _of_another(path, named)}
    if config.data.name in BY_PATH:
        found["data.dir"] = config.data.dir
    return {**found, "sde.name": config.sde.name, **_parameters(processes.read(config.sde))}


def _names(section: Any) -> Sequence[str]:
    """The names in a section; none in what is a field."""
    return tuple(section) if isinstance(section, ConfigDict) else ()


def _of_another(path: str, named: Mapping[str, str]) -> bool:
    """Whether a field is an option of another member of a family than its section names."""
    section, *inside = path.split(".")
    return len(inside) > 1 and named.get(section, inside[0]) != inside[0]


def of_measurement(config: ConfigDict, programs: Sequence[Program]) -> Settings:
    """The settings, beside those of the training, that determine what programs measure.

    Raises:
        UserError: there is no such metric or sampler, or an option cannot work.
    """
    read = {section for program in programs for section in program.reads}
    found: Settings = {}
    if "evaluation" in read:
        asked = evaluation.read(config.evaluation)
        drawn = any(metric.NEEDS == SAMPLES for metric in asked.metrics.values())
        found |= _of_evaluation(config, {*asked.metrics, *(["samples"] if drawn else [])})
        if drawn:
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
    """The sampler with those options that it has, and what else determines the samples."""
    section, sampler = config.sampling, sampling.sampler(config.sampling)
    return {
        "sampling.sampler": _member(sampler),  # PC1000 is a predictor-corrector
        "sampling.num_samples": section.num_samples,
        "sampling.seed": section.seed,
        **({"sampling.batch_size": batch_size} if sampler.coupling else {}),
        **{_sampling(sampler, name): _json(v) for name, v in dataclasses.asdict(sampler).items()},
        **_of_guidance(config.guidance),
    }


def _of_guidance(section: ConfigDict) -> Settings:
    """The rule with those options that it has; nothing if it changes nothing."""
    rule = sampling.rule(section)
    if rule.idle:
        return {}
    found: Settings = {"guidance.name": section.name}
    for option in sections.entries(type(rule)):
        own = "" if option in guidance.SHARED else f"{section.name}."
        found[f"guidance.{own}{option}"] = getattr(rule, option)
    if rule.NEEDS_WEAK:
        found |= {f"guidance.{name}": section[name] for name in ("run", "step", "weights")}
    return found


def _json(value: Any) -> Any:
    """An option as a file of results has it."""
    return list(value) if isinstance(value, tuple) else value


def _member(sampler: samplers.Sampler) -> str:
    return next(name for name, cls in samplers.SAMPLERS.items() if cls is type(sampler))


def _sampling(sampler: samplers.Sampler, option: str) -> str:
    """The dotted path of an option of a sampler."""
    own = "" if option in samplers.SHARED else f"{_member(sampler)}."
    return f"sampling.{own}{option}"


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
    values = dict(_of_network(config.model.name))
    process, sampler = processes.read(config.sde), sampling.sampler(config.sampling)
    values |= {
        f"sde.{name}": entry.default for name, entry in sections.entries(type(process)).items()
    }
    values |= {_sampling(sampler, f.name): _json(f.default) for f in dataclasses.fields(sampler)}
    return values


@functools.cache
def _of_network(name: str) -> Settings:
    """The defaults of all fields, but for the process and the sampler."""
    values = _flat(configs.default(name), without=("sde", "sampling"))
    del values["model.name"]  # the defaults are those of this network
    return values


def _parameters(process: SDE) -> Settings:
    """The parameters of a process."""
    return {f"sde.{name}": value for name, value in process.parameters.items()}


def _flat(config: ConfigDict, without: Sequence[str]) -> Settings:
    """The fields of a config by dotted path, as JSON values."""
    whole, inside = frozenset(without), tuple(f"{part}." for part in without)
    return {
        path: value
        for path, value in configs.flatten(configs.to_json(config))
        if path not in whole and not path.startswith(inside)
    }
