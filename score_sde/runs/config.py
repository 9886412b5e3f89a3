"""Configs: ml_collections ConfigDicts of plain values, their defaults, and reading them back.

A recipe in configs/ starts from `default` and changes what it needs. Every section is the fields of
dataclasses: `training` and `optim` of those in score_sde/training/options.py, `model` the arguments
of the network and how its output is read, and the others of a family, each as score_sde/sections.py
says: `sde`, `space`, `conditions`, `objective`, `sampling`, `guidance` and `evaluation`.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from ml_collections import ConfigDict, config_dict

from score_sde import files, guidance, objectives, prompting, records, samplers, sections, values
from score_sde.checks import check_name
from score_sde.data.selection import DataOptions
from score_sde.errors import UserError
from score_sde.evaluation import asked as evaluation
from score_sde.models import NETWORKS, arguments
from score_sde.models.conditions import CONDITIONS
from score_sde.models.control import Control
from score_sde.models.lora import LoRA
from score_sde.prediction import PredictionOptions
from score_sde.processes import PROCESSES, Known
from score_sde.sections import Entry
from score_sde.spaces import SPACES
from score_sde.training.options import OptimOptions, TrainingOptions
from score_sde.values import Count, Every, Name, Seed, one_of

NETWORK = "model.name"  # the field whose value says which others its section has
_SAMPLER = "sampling.sampler"
_RUN = "run"  # the section of config.json that is no part of the config
_PRECISION = "dtype"  # the argument of every network that says in what it computes
_NEWER = ("guidance",)  # sections that runs of former versions do not have


@dataclasses.dataclass(frozen=True)
class SamplingOptions:
    """The section `sampling` of a config, but for the options of samplers.

    Attributes:
        sampler: a name in samplers.SAMPLERS, samplers.PAPER or samplers.ALIASES.
        num_samples: how many --mode=sample draws.
        batch_size: at a time, over all devices.
        seed: of this set of samples.
        told_of: the split whose examples, chosen at random, say what samples are told where that is
            more than classes.
        beside: whether the picture of --mode=sample shows beside each sample the example that said
            what it is told, of classes too.
        fsdp: devices that share one copy of the parameters; the others hold further copies.
        tensor: devices that share each example, of a transformer; see training.tensor.
        tile: side, in latents, of the tiles in which the states of larger images are decoded by an
            autoencoder, as memory grows with them; 0 for at once.
    """

    sampler: Annotated[str, samplers.Known()] = "dpmpp_2m"
    num_samples: Count = 64
    batch_size: Count = 64
    seed: Seed = 0
    told_of: Name = "train"
    beside: bool = False
    fsdp: Count = 1
    tensor: Count = 1
    tile: Every = 128


@dataclasses.dataclass(frozen=True)
class GuidanceOptions:
    """The section `guidance` of a config, but for the options of rules.

    Attributes:
        name: a rule in guidance.RULES; it guides if its scale is not 1.
        run: of autoguidance, the folder of the weaker model's run; empty for the run itself.
        step: of autoguidance, the weaker model's checkpoint; 0 for its newest.
        weights: of autoguidance, which of its weights; see --weights.
    """

    name: Annotated[str, one_of(guidance.RULES)] = "classifier_free"
    run: values.Path = ""
    step: Every = 0
    weights: Name = "ema"


@functools.cache
def schema(network: str = "unet") -> dict[str, Any]:
    """Every field that a config has, as nested dictionaries of sections.Entry.

    Args:
        network: whose arguments make up the section `model`; a name in models.NETWORKS.
    """
    parameters: dict[str, list[Entry]] = {}
    for process in PROCESSES.values():
        for name, entry in sections.entries(process).items():
            parameters.setdefault(name, []).append(entry)
    return {
        "sde": {
            "name": Entry("vp", Annotated[str, Known()], "the process"),
            **{name: sections.any_of(found) for name, found in parameters.items()},
        },
        "space": {
            "name": _member("pixels", SPACES, "what the model sees of an example"),
            **sections.of_family(SPACES),
        },
        "conditions": {
            "fields": Entry((), tuple[Name, ...], "of the data set, which the network is told"),
            **sections.of_family(CONDITIONS),
        },
        "text": {
            "name": _member("none", prompting.SYSTEMS, "whose way prompts are told in"),
            **sections.of_family(prompting.SYSTEMS, prompting.SHARED),
        },
        "model": {
            "name": _member(network, NETWORKS, "the network, which a recipe is made for"),
            **sections.entries(PredictionOptions),
            **arguments.options(NETWORKS[network]),
        },
        "objective": {
            "name": _member("denoising", objectives.OBJECTIVES, "what is trained"),
            **sections.of_family(objectives.OBJECTIVES, objectives.SHARED),
        },
        "data": sections.entries(DataOptions),
        "training": {
            **sections.entries(TrainingOptions),
            "lora": sections.entries(LoRA),
            "control": sections.entries(Control),
        },
        "optim": sections.entries(OptimOptions),
        "sampling": {
            **sections.entries(SamplingOptions),
            **sections.of_family(samplers.SAMPLERS, samplers.SHARED),
        },
        "guidance": {
            **sections.entries(GuidanceOptions),
            **sections.of_family(guidance.RULES, guidance.SHARED),
        },
        "evaluation": evaluation.schema(),
        "seed": Entry(0, Seed, "of everything random in training"),
    }


def _member(default: str, family: Iterable[str], meaning: str) -> Entry:
    """The field that chooses a member of a family."""
    return Entry(default, Annotated[str, one_of(family)], meaning)


@functools.cache
def entries(network: str) -> dict[str, Entry]:
    """The fields by dotted path."""
    return dict(flatten(schema(network)))


def default(network: str = "unet") -> ConfigDict:
    """A config with every field at its default.

    Args:
        network: whose arguments make up the section `model`; a name in models.NETWORKS.
    """
    return ConfigDict(_values(schema(network))).lock()  # no field can be added by mistake


@functools.cache
def _reference(network: str) -> ConfigDict:
    """The same one each time, to look at alone."""
    return default(network)


@functools.cache
def _defaults(network: str) -> dict[str, str]:
    """How the defaults are written, by dotted path."""
    return {path: repr(value) for path, value in flatten(_reference(network).to_dict())}


def _values(entries: Mapping[str, Any]) -> dict[str, Any]:
    """The defaults; an empty, typed field where that is None."""
    return {
        name: _default(entry) if isinstance(entry, Entry) else _values(entry)
        for name, entry in entries.items()
    }


def _default(entry: Entry) -> Any:
    if entry.default is not None:
        return entry.default
    return config_dict.placeholder(values.python_type(entry.annotation))


def check_fields(config: ConfigDict) -> None:
    """Raise UserError unless a config has exactly the fields of `schema`, of their types."""
    if not isinstance(config, ConfigDict) or "model" not in config or "name" not in config.model:
        raise UserError("this is not a config of score_sde: start from runs.config.default()")
    try:
        check_name("config.model.name", config.model.name, NETWORKS)
        fields = _reference(config.model.name)
        given = dict(flatten(config.to_dict()))
        for name in config.model:
            if name not in fields.model:  # a config is locked: it was made for another network
                network = config.model.name
                raise UserError(
                    f"the section model is of another network than config.model.name={network}: "
                    f"{name} is no option of it. In a recipe, runs.config.use_network(config, "
                    f"{network!r}) puts another network in its place"
                )
        known, usual = entries(config.model.name), _defaults(config.model.name)
        for path in given:
            if path not in known:
                check_path(fields, path)
        for path in known:
            if path not in given:
                check_path(config, path)
        _check_sampler(config, config.sampling.sampler)
        for path, entry in known.items():
            if repr(given[path]) != usual[path]:  # a default has been checked once
                values.check(f"config.{path}", given[path], entry.annotation)
    except UserError:
        raise
    except ValueError as error:
        raise UserError(str(error)) from error


def use_network(config: ConfigDict, name: str) -> None:
    """Put another network in the place of a config's, with its own defaults.

    How its output is read stays, and in what precision it computes: what else the section `model`
    says is of the network that was there.

    Args:
        config: the config, which is changed.
        name: of the network, in models.NETWORKS.

    Raises:
        UserError: there is no such network.
    """
    try:
        check_name("config.model.name", name, NETWORKS)
    except ValueError as error:
        raise UserError(str(error)) from error
    model = default(name).model
    for field in (*sections.entries(PredictionOptions), _PRECISION):
        model[field] = config.model[field]
    with config.unlocked():
        config.model = model


def expand_paths(config: ConfigDict) -> None:
    """Replace a ~ at the beginning of each field of `config` that is a path; see files.expanded."""
    for path in _paths(config.model.name):
        *parts, name = path.split(".")
        section = functools.reduce(lambda section, part: section[part], parts, config)
        section[name] = str(files.expanded(section[name])) if section[name] else section[name]


@functools.cache
def _paths(network: str) -> tuple[str, ...]:
    """The fields that are paths."""
    return tuple(p for p, entry in entries(network).items() if values.is_path(entry.annotation))


def to_json(config: ConfigDict) -> dict[str, Any]:
    """The config as plain JSON values: tuples become lists."""
    plain: dict[str, Any] = json.loads(json.dumps(config.to_dict()))
    return plain


def from_json(values: dict[str, Any]) -> ConfigDict:
    """The config that `to_json` wrote, of its values; lists become tuples.

    Raises:
        UserError: a field is unknown.
    """
    network = values.get("model", {}).get("name")
    if not isinstance(network, str) or network not in NETWORKS:
        there = ", ".join(NETWORKS)
        raise UserError(f"config.{NETWORK}={network!r:.60} is no network: there are {there}")
    config, usual = default(network), _defaults(network)
    for path, value in flatten(values):
        value = tuple(value) if isinstance(value, list) else value
        if repr(value) != usual.get(path):  # a default stands there already
            set_field(config, path, value)
    return config


def flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Pairs of a field's dotted path and its value.

    Args:
        values: sections and fields, by name.
        prefix: before each path.
    """
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def set_field(config: ConfigDict, path: str, value: Any) -> None:
    """Set a field by its dotted path, which must exist; of the network's name, see use_network.

    Args:
        config: what is changed.
        path: of the field.
        value: of its type and in its range.

    Raises:
        UserError: it does not, or the value is of another type.
    """
    check_field(config, path)
    if path == NETWORK and value != config.model.name:
        use_network(config, value)
        return
    *parts, name = path.split(".")
    section = config
    for part in parts:
        section = section[part]
    try:
        if path == _SAMPLER and isinstance(value, str):
            _check_sampler(config, value)
        values.check(f"config.{path}", value, entries(config.model.name)[path].annotation)
        section[name] = tuple(value) if isinstance(value, list) else value
    except (TypeError, ValueError) as error:
        raise UserError(str(error)) from error


def _check_sampler(config: ConfigDict, name: str) -> None:
    """Raise ValueError, which names those that draw its states, unless there is such a sampler."""
    if config.sde.name in PROCESSES:  # another is a process of one's own, or none
        samplers.resolve(name, f"config.{_SAMPLER}", PROCESSES[config.sde.name].STATES)


def check_field(config: ConfigDict, path: str) -> None:
    """Raise UserError unless the config has this dotted path, and it is a field and no section."""
    check_path(config, path)
    fields = entries(config.model.name)
    if path not in fields and (inside := [one for one in fields if one.startswith(f"{path}.")]):
        raise UserError(
            f"config.{path} is a section, not a value: set its fields, such as config.{inside[0]}"
        )


def check_path(config: ConfigDict, path: str) -> None:
    """Raise UserError, naming the nearest field, unless the config has this dotted path."""
    parts = path.split(".")
    for depth, part in enumerate(parts):
        if not isinstance(config, ConfigDict):
            raise UserError(f"config.{'.'.join(parts[:depth])} is a value, not a section")
        if part not in config:
            valid = ".".join(parts[:depth])
            prefix = f"config.{valid}." if valid else "config."
            near = difflib.get_close_matches(part, list(config), n=1, cutoff=0.0)[0]
            raise UserError(
                f"unknown field {prefix}{part}: did you mean {prefix}{near}? "
                f"{prefix[:-1]} has: {', '.join(sorted(config))}"
            )
        config = config[part]


def to_record(config: ConfigDict, found: Mapping[str, Any]) -> dict[str, Any]:
    """What config.json says of a run: `to_json`, and under "run" what was found out and the seal.

    Args:
        config: the config.
        found: what was found out about the data and the software, JSON values by name.
    """
    return records.sealed({**to_json(config), _RUN: found}, inside=_RUN)


def read(workdir: Path) -> tuple[ConfigDict, dict[str, Any]]:
    """Read a run's config.json.

    It is sealed when it is written (score_sde.records), and every field was in it then. So a field
    that an intact record lacks is newer than the run, which went by its default without knowing it;
    a record that was changed since is refused. One that is older than seals has to have every
    section.

    Args:
        workdir: the run's folder.

    Returns:
        The config, and the section `run`: what was found out about the data and the software.

    Raises:
        UserError: there is no run in the folder, or its config cannot be read, or was changed.
    """
    path = Path(workdir) / "config.json"
    try:
        values = records.read(path)
    except ValueError as error:
        raise UserError(f"{path} is not a run's config: it {error}") from error
    if values is None:
        raise UserError(f"no run in {workdir}: it has no config.json; train one first")
    try:
        return _of_record(values)
    except UserError as error:
        raise UserError(f"{path} is not a run's config: {error}") from error


def _of_record(values: dict[str, Any]) -> tuple[ConfigDict, dict[str, Any]]:
    """What the values of a config.json say; see `read`."""
    fields = {name: value for name, value in values.items() if name != _RUN}
    if not isinstance(values.get(_RUN), dict):
        raise UserError(f"it has no section {_RUN}")
    for name, entry in schema().items():
        if name not in fields and name in _NEWER:
            continue
        if name not in fields:
            raise UserError(
                f"it has no {'field' if isinstance(entry, Entry) else 'section'} {name}"
            )
        if not isinstance(entry, Entry) and not isinstance(fields[name], dict):
            raise UserError(f"its {name} is no section but {fields[name]!r:.60}")
    config = from_json(fields)
    try:
        return config, records.unsealed(values, inside=_RUN)[_RUN]
    except ValueError as error:
        missing = sorted(entries(config.model.name).keys() - dict(flatten(fields)).keys())
        lost = f"it lacks config.{missing[0]} and " if missing else "it "
        raise UserError(
            f"{lost}{error}. Undo that: --config.FIELD=VALUE changes what a run may change"
        ) from error


def difference(old: ConfigDict, new: ConfigDict, sections: tuple[str, ...]) -> str | None:
    """The first field, of these sections or dotted fields, in which two configs differ.

    Returns:
        "path was old and is new", or None.
    """
    before, after = dict(flatten(to_json(old))), dict(flatten(to_json(new)))
    for path in sorted(before.keys() | after.keys()):
        named = any(path == section or path.startswith(f"{section}.") for section in sections)
        if named and before.get(path) != after.get(path):
            return f"config.{path} was {before.get(path)} and is {after.get(path)}"
    return None
