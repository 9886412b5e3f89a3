"""Rows of a study: its points, once for each seed, with the configs that they mean."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from score_sde import processes, sections
from score_sde.errors import UserError, first_line
from score_sde.evaluation import asked as evaluation
from score_sde.runs import config as configs
from score_sde.runs import learning, recipes, sampling, tuned
from score_sde.sweep import identity
from score_sde.sweep.grid import Point
from score_sde.sweep.program import CONFIG, Program
from score_sde.sweep.study import Study, mistake
from score_sde.training.options import OptimOptions, TrainingOptions


@dataclasses.dataclass(frozen=True)
class Row:
    """A point of a study with one seed.

    Attributes:
        point: where it is in the grid.
        seed: the value of the study's fields `seed_fields`.
        changes: everything that it changes in its recipe, in order; "config" is the recipe.
        config: what comes out.
        programs: what measures it.
        train: what trains its run.
        settings: what its numbers depend on: fields of the config, by dotted path.
        trained: identity of the trained run.
        id: identity of the row.
    """

    point: Point
    seed: int
    changes: Mapping[str, Any]
    config: ConfigDict
    programs: tuple[Program, ...]
    train: tuple[Program, ...]
    settings: Mapping[str, Any]
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
    programs = (*study.evaluate, *point.programs)
    try:
        config = resolve(changes, root)
        _check(config)
        training = identity.of_training(config)
        settings = training | identity.of_measurement(config, programs)
    except ValueError as error:  # a UserError, or of the classes that check their own arguments
        labels = " | ".join(point.labels.values())
        raise UserError(f"{labels}: {first_line(error)}") from error
    train = point.train or tuple(study.train)
    trained = identity.fingerprint(training, config, train)
    # The programs that train are in it, by the identity of what they train.
    own = identity.fingerprint({**settings, "trained": trained}, config, programs)
    return Row(point, seed, changes, config, programs, train, settings, trained, own)


def resolve(changes: Mapping[str, Any], root: Path = Path()) -> ConfigDict:
    """The config that changes to a recipe mean.

    Args:
        changes: values by dotted path, and "config", the recipe: a path or a name, with
            :ARGUMENT if it takes one.
        root: the folder that the recipe's path starts from.

    Raises:
        UserError: there is no such recipe or field.
    """
    if not isinstance(changes.get(CONFIG), str):
        raise UserError(f'no recipe: give "{CONFIG}", such as configs/digits_vp.py')
    file, _, argument = changes[CONFIG].partition(":")
    path = recipes.find(file, Path(root)).resolve()
    try:
        config = recipes.module(path).get_config(*([argument] if argument else []))
    except UserError:
        raise
    except Exception as error:  # it is a program: anything can happen in it
        raise mistake(error, path) from error
    for field, value in changes.items():
        if field != CONFIG:
            configs.set_field(config, field, value)
    configs.check_fields(config)
    return config


def _check(config: ConfigDict) -> None:
    """Raise UserError for what would stop a program of the row when it reads its config.

    That is what can be seen without the data and without making the network.
    """
    TrainingOptions(**sections.own(TrainingOptions, config.training))
    OptimOptions(**config.optim)
    process = processes.read(config.sde)
    trained = learning.objective(config, process)
    if trained.draws:
        sampler = tuned.untuned(sampling.sampler(config.sampling))
        sampling.check_sampler(sampler, process, trained.TRAINS)
    evaluation.read(config.evaluation)
