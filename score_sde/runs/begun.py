"""What may begin in a folder, and what a run found out when it began there."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from score_sde import files
from score_sde.data.base import DataError, Info
from score_sde.data.difference import difference
from score_sde.data.selection import DETERMINING
from score_sde.errors import UserError
from score_sde.parts import Stored
from score_sde.runs import config as configs
from score_sde.runs import kept
from score_sde.runs.experiment import Experiment
from score_sde.runs.held import LOCK
from score_sde.spaces import Space
from score_sde.training import checkpoint_folder, snapshots
from score_sde.training.optimizer import ENDING
from score_sde.version import versions

# What a run may not change once it has begun: everything that its numbers depend on.
FIXED = (
    "sde",
    "space",
    "conditions",
    "model",
    "objective",
    *(f"data.{name}" for name in DETERMINING),
    "optim",
    "seed",
    "training.batch_size",
    "training.accumulate",
    "training.ema_decays",
    "training.ema_profiles",
    "training.lora",
    "training.control",
)


def check(workdir: Path, config: ConfigDict) -> dict[str, Any] | None:
    """Check that a run with this config can begin or go on in a folder; nothing is changed.

    Args:
        workdir: the folder.
        config: the config.

    Returns:
        What the run that is there found out when it began; None if there is none, or one without a
        checkpoint: nothing is lost if that begins again, with whatever config.

    Raises:
        UserError: the folder holds something else, or a run whose numbers another config
            determined.
    """
    if not occupied(workdir):
        return None
    check_not_imported(workdir)
    if (workdir / "config.json").exists():
        if not _trained(workdir):
            configs.read(workdir)  # it is a run's, and may be overwritten
            return None
        # A cosine ends at the last step, so that another last step is another learning rate.
        fixed = (*FIXED, "training.steps") if config.optim.decay in ENDING else FIXED
        old, found = configs.read(workdir)
        changed = configs.difference(old, config, fixed)
        if changed:
            if changed.startswith("config.training.steps "):
                changed += f", where config.optim.decay={config.optim.decay} ends"
            raise UserError(
                f"{workdir} holds a run with another config: {changed}. "
                "Give another --workdir, or the old value to go on with it"
            )
        return found
    raise UserError(f"{workdir} holds files but no run; give another --workdir")


def check_not_imported(workdir: Path) -> None:
    """Raise UserError if a folder holds a model that was imported with all that belongs to it."""
    if kept.path(workdir, kept.NETWORK).exists():
        raise UserError(
            f"{workdir} is an imported model, which stays as it is: give another --workdir, with "
            f"--init_from={workdir} to start from it"
        )


def occupied(workdir: Path) -> bool:
    """Whether a folder holds anything; what training leaves that none can go on from is nothing.

    That is the lock file of one that was killed, and checkpoints that were never finished.

    Raises:
        UserError: it cannot be read.
    """
    try:
        return workdir.is_dir() and not all(_is_nothing(entry) for entry in workdir.iterdir())
    except OSError as error:
        raise UserError(
            f"cannot read {workdir}: {error.strerror}. Give another --workdir"
        ) from error


def check_still_there(workdir: Path) -> None:
    """Raise UserError if a run that has trained is none any more.

    A folder that is removed while its last checkpoint is written has this one alone in the end.
    """
    if not (workdir / "config.json").exists():
        raise UserError(
            f"{workdir} was removed while it trained: the same command begins again, once what may "
            "be left there is removed too"
        )


def _is_nothing(entry: Path) -> bool:
    if entry.name == "checkpoints":
        return checkpoint_folder.only_unfinished(entry)
    return entry.name == LOCK


def same_data(workdir: Path, found: Mapping[str, Any], info: Info, space: Space) -> Space:
    """The space of a run that goes on, if the training examples are those that it began with.

    Args:
        workdir: the run's folder.
        found: what it found out when it began, as `check` gives it.
        info: what is known of the examples now.
        space: measured on them now.

    Returns:
        The space as it was measured when the run began.

    Raises:
        UserError: the data have changed: their fields, their number, or what was measured on them.
    """
    before, measured = data(workdir, found), measured_space(workdir, found, space)
    changed = difference(before, info) if before.size else None  # an imported run has seen none
    for name, array in measured.arrays().items():
        now, slack = space.arrays()[name], 1e-3 * np.abs(array).max()
        if now.shape != array.shape or not np.allclose(now, array, rtol=0, atol=slack):
            changed = changed or f"the {name} of {info.name} is another"
    if changed:
        raise UserError(
            f"{workdir} was begun with other data than {info.name} holds now: {changed}. Give "
            "another --workdir, or the data that it was begun with"
        )
    return measured


def begin(
    workdir: Path,
    config: ConfigDict,
    experiment: Experiment,
    init_from: Mapping[str, Any] | None = None,
    teacher: Mapping[str, Any] | None = None,
    taken: Mapping[str, Stored] | None = None,
) -> None:
    """Make a run's folder and write its config.json.

    The pictures and snapshots of a run that was there and has no checkpoint are removed: they are
    of another network.

    Args:
        workdir: the folder, which `check` has passed.
        config: the config.
        experiment: what it names.
        init_from: what the run started from, as init_from.Start records it; None for nothing.
        teacher: what it learns from, as teacher.Taught records it; None for nothing.
        taken: networks of its space by name, which are kept in the folder; None if they are there.

    Raises:
        UserError: the folder cannot be written.
    """
    found = {
        "data": experiment.data.to_json(),
        "space": {name: a.tolist() for name, a in experiment.space.arrays().items()},
        "parameters": experiment.parameters,
        "versions": versions(),
        **({"init_from": dict(init_from)} if init_from else {}),
        **({"teacher": dict(teacher)} if teacher else {}),
    }
    with files.writing(workdir):
        if not _trained(workdir):
            for picture in (workdir / "samples").glob("[0-9]*.*"):
                picture.unlink()
            shutil.rmtree(workdir / snapshots.FOLDER, ignore_errors=True)
        kept.write(workdir, taken or {})
        files.write_json(workdir / "config.json", configs.to_record(config, found))


def _trained(workdir: Path) -> bool:
    """Whether a run has a checkpoint."""
    return checkpoint_folder.latest(workdir / "checkpoints") is not None


def data(workdir: Path, found: Mapping[str, Any]) -> Info:
    """What a run found out about its data when it began.

    Args:
        workdir: its folder, for messages.
        found: what configs.read found beside its config.

    Raises:
        UserError: it does not say.
    """
    try:
        return Info.from_json(found["data"])
    except (KeyError, TypeError, DataError) as error:
        raise UserError(f"{workdir / 'config.json'} is not a run's config: {error}") from error


def measured_space(workdir: Path, found: Mapping[str, Any], space: Space) -> Space:
    """A space as it was measured when a run began; arguments and errors as of `data`."""
    try:
        measured = space.with_arrays(found["space"])
        for name, array in measured.arrays().items():
            if array.shape != space.arrays()[name].shape or not np.isfinite(array).all():
                raise ValueError(f"finite numbers {list(space.arrays()[name].shape)} of {name}")
        return measured
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{workdir / 'config.json'} is not a run's config: its space lacks {error}"
        ) from error
