"""Rows of a study: its points, once for each seed, with the configs that they mean.

A row's identity is the hash of its resolved config, not of the words that led to it: a recipe that
is renamed, or a default that is spelt out, remains the same run.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import importlib.util
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from ml_collections import ConfigDict

from score_sde import config as configs
from score_sde.errors import UserError
from score_sde.sweep.grid import Point
from score_sde.sweep.pipeline import CONFIG, Program
from score_sde.sweep.study import Study

# What does not change what a training arrives at: where the data lie, how often it reports.
_NOT_TRAINING = (
    "sampling",
    "evaluation",
    "data.dir",
    "training.log_every",
    "training.eval_every",
    "training.sample_every",
    "training.checkpoint_every",
    "training.keep_last",
    "training.keep_every",
)


@dataclasses.dataclass(frozen=True)
class Row:
    """A point of a study with one seed.

    Attributes:
        point: where it is in the grid.
        seed: the value of the study's fields `seed_fields`.
        changes: everything that it changes in its recipe, in order; "config" is the recipe.
        config: what comes out.
        programs: what measures it.
        trained: identity of the trained run: the hash of what determines it.
        id: identity of the row: the hash of that, of how it is sampled and of how it is evaluated.
    """

    point: Point
    seed: int
    changes: Mapping[str, Any]
    config: ConfigDict
    programs: tuple[Program, ...]
    trained: str
    id: str

    @property
    def name(self) -> str:
        """What people call it."""
        return f"{' | '.join(self.point.labels.values())}, seed {self.seed}"


def rows(study: Study, root: Path = Path()) -> list[Row]:
    """The rows of a study, the seeds of a point together.

    Args:
        study: the study.
        root: the folder that the recipes' paths start from.

    Raises:
        UserError: a recipe or a field does not exist, or a value cannot work.
    """
    found = [_row(study, point, seed, root) for point in study.points for seed in study.seeds]
    by_id: dict[str, Row] = {}
    for row in found:
        if row.id in by_id:
            raise UserError(f"two rows are the same run: {by_id[row.id].name} and {row.name}")
        by_id[row.id] = row
    return found


def _row(study: Study, point: Point, seed: int, root: Path) -> Row:
    changes = {**study.base, **point.changes, **dict.fromkeys(study.seed_fields, seed)}
    try:
        config = resolve(changes, root)
    except UserError as error:
        raise UserError(f"{' | '.join(point.labels.values())}: {error}") from error
    programs = (*study.evaluate, *point.programs)
    trained = fingerprint(_training_part(config), study.train)
    values = config.to_dict()
    measured = {name: values.get(name) for name in ("sampling", "evaluation")}
    identity = fingerprint([trained, measured], programs)
    return Row(point, seed, changes, config, programs, trained, identity)


def resolve(changes: Mapping[str, Any], root: Path = Path()) -> ConfigDict:
    """The config that changes to a recipe mean.

    Args:
        changes: values by dotted path, and "config", the recipe: FILE or FILE:ARGUMENT.
        root: the folder that the recipe's path starts from.

    Raises:
        UserError: there is no such recipe or field.
    """
    if CONFIG not in changes:
        raise UserError(f'no recipe: give "{CONFIG}", such as configs/digits_vp.py')
    file, _, argument = changes[CONFIG].partition(":")
    path = (Path(root) / file).resolve()
    if not path.is_file():
        raise UserError(f"no config file {file}")
    config = _recipe(path).get_config(*([argument] if argument else []))
    for field, value in changes.items():
        if field != CONFIG:
            configs.set_field(config, field, value)
    configs.check_fields(config)
    return config


@functools.cache
def _recipe(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"recipe_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def _training_part(config: ConfigDict) -> dict[str, Any]:
    """The fields that determine what is trained, by dotted path."""
    return {
        path: value
        for path, value in configs.flatten(configs.to_json(config))
        if not any(path == part or path.startswith(f"{part}.") for part in _NOT_TRAINING)
    }


def fingerprint(values: Any, programs: Sequence[Program] = ()) -> str:
    """Twelve hexadecimal digits that stand for values and the programs that use them.

    A field that is None is as good as absent, so that a new optional field changes no identity.
    """
    words = [[*program.argv, program.collect, program.pattern] for program in programs]
    text = json.dumps([_without_none(values), words], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _without_none(values: Any) -> Any:
    if isinstance(values, dict):
        return {k: _without_none(v) for k, v in values.items() if v is not None}
    return [_without_none(v) for v in values] if isinstance(values, list | tuple) else values
