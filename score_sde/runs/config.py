"""Configs: ml_collections ConfigDicts of plain values, their defaults, and reading them back.

A recipe in configs/ starts from `default` and changes what it needs. The sections `training` and
`optim` are the fields of the dataclasses of the same purpose in score_sde/training/options.py,
`evaluation` and the sections in it those of score_sde/evaluation/options.py, the section `model`
the arguments of the network, `sde` and `sampling` the fields of the processes and samplers that
they name, where None leaves a field at its own default.
"""

from __future__ import annotations

import dataclasses
import difflib
import inspect
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict, config_dict

from score_sde.checks import check_name
from score_sde.errors import UserError
from score_sde.evaluation.options import (
    BitsOptions,
    BoundOptions,
    CurveOptions,
    EvaluationOptions,
    SampleOptions,
)
from score_sde.models import CLASSIFIERS, NETWORKS
from score_sde.processes import PROCESSES
from score_sde.samplers import SAMPLERS
from score_sde.training.options import OptimOptions, TrainingOptions

# Arguments of a network that follow from the data or are set elsewhere.
_DERIVED = ("self", "data_channels", "image_size", "num_classes", "centered", "rngs", "param_dtype")

# What the config of a classifier lacks: it regresses nothing and draws nothing.
_SCORE_ONLY = {
    "model": ("parametrization", "noise_label", "sigma_data", "class_conditional"),
    "training": (
        "weighting",
        "quantity",
        "times",
        "time_mean",
        "time_std",
        "reduction",
        "sample_every",
    ),
    "evaluation": (
        "metrics",
        "split",
        "num_images",
        "seed",
        "bits_per_dim",
        "samples",
        "variational_bound",
        "loss_by_time",
    ),
}


def default(network: str = "unet") -> ConfigDict:
    """A config with every field at its default.

    Args:
        network: whose arguments make up the section `model`; a name in models.NETWORKS, or in
            models.CLASSIFIERS for a config without the fields that mean nothing for a classifier.
    """
    config = ConfigDict(
        {
            "sde": {"name": "vp", **_placeholders(PROCESSES.values())},
            "model": {
                "name": network,
                "parametrization": "eps",
                "noise_label": "time",
                "sigma_data": 0.5,
                "class_conditional": False,
                **_network_arguments(network),
            },
            "data": {
                "name": "digits",
                "dir": "",
                "image_size": 0,
                "crop": config_dict.placeholder(int),
                "centered": True,
                "flip": False,
                "dequantize": False,
            },
            "training": dataclasses.asdict(TrainingOptions()),
            "optim": dataclasses.asdict(OptimOptions()),
            "sampling": {
                "sampler": "predictor_corrector",
                "num_samples": 64,
                "batch_size": 64,
                "seed": 0,
                **_placeholders(SAMPLERS.values()),
            },
            "evaluation": {
                **dataclasses.asdict(EvaluationOptions()),
                "bits_per_dim": dataclasses.asdict(BitsOptions()),
                "samples": dataclasses.asdict(SampleOptions()),
                "variational_bound": dataclasses.asdict(BoundOptions()),
                "loss_by_time": dataclasses.asdict(CurveOptions()),
            },
            "seed": 0,
        }
    )
    if network in CLASSIFIERS:
        del config.sampling
        for section, names in _SCORE_ONLY.items():
            for name in names:
                del config[section][name]
    return config.lock()  # a field that does not exist cannot be set by mistake


def check_fields(config: ConfigDict) -> None:
    """Raise UserError unless a config has exactly the fields of `default`."""
    if not isinstance(config, ConfigDict) or "model" not in config or "name" not in config.model:
        raise UserError(
            "this is not a config of score_sde: start from score_sde.runs.config.default()"
        )
    check_name("config.model.name", config.model.name, NETWORKS | CLASSIFIERS)
    expected = default(config.model.name)
    for path, _ in flatten(config.to_dict()):
        check_path(expected, path)
    for path, _ in flatten(expected.to_dict()):
        check_path(config, path)


def _placeholders(dataclasses_: Any) -> dict[str, config_dict.FieldReference]:
    """An empty, typed field for every field of some dataclasses."""
    return {
        field.name: config_dict.placeholder(type(field.default))
        for cls in dataclasses_
        for field in dataclasses.fields(cls)
    }


def _network_arguments(network: str) -> dict[str, Any]:
    cls = (NETWORKS | CLASSIFIERS)[network]
    parameters = inspect.signature(cls.__init__).parameters
    arguments = {name: p.default for name, p in parameters.items() if name not in _DERIVED}
    return {**arguments, "dtype": "float32"}


def to_json(config: ConfigDict) -> dict[str, Any]:
    """The config as plain JSON values: tuples become lists."""
    return json.loads(json.dumps(config.to_dict()))


def from_json(values: dict[str, Any]) -> ConfigDict:
    """The config that `to_json` wrote; lists become tuples.

    Raises:
        UserError: a field is unknown.
    """
    config = default(values.get("model", {}).get("name", "unet"))
    for path, value in flatten(values):
        set_field(config, path, value)
    return config


def flatten(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Pairs of a field's dotted path and its value."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def set_field(config: ConfigDict, path: str, value: Any) -> None:
    """Set a field by its dotted path, which must exist.

    Raises:
        UserError: it does not, or the value is of another type.
    """
    check_path(config, path)
    *sections, name = path.split(".")
    for section in sections:
        config = config[section]
    try:
        config[name] = tuple(value) if isinstance(value, list) else value
    except TypeError as error:
        kind = config.get_type(name).__name__
        raise UserError(f"config.{path}={value!r}: this field takes {kind}") from error


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


def read(workdir: Path) -> tuple[ConfigDict, dict[str, Any]]:
    """Read a run's config.json.

    Args:
        workdir: the run's folder.

    Returns:
        The config, and the section `run`: what was found out about the data and the software.

    Raises:
        UserError: there is no run in the folder, or its config cannot be read.
    """
    path = Path(workdir) / "config.json"
    if not path.exists():
        raise UserError(f"no run in {workdir}: it has no config.json; train one first")
    try:
        values = json.loads(path.read_text())
        run = values.pop("run")
        return from_json(values), run
    # JSON of another shape has no such attribute, key or index.
    except (json.JSONDecodeError, UnicodeDecodeError, AttributeError, KeyError, TypeError) as error:
        raise UserError(f"{path} is not a run's config: {error}") from error


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
