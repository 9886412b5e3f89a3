"""Starting a new run from the weights of another: for other data, classes or learning rates.

An array is taken if the new network has one of the same path and shape; the moving averages begin
from the same weights. Any other begins anew, as the run's own seed draws it. What was taken, and
what was not, is in the run's config.json. The optimiser and the step begin at zero.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from score_sde.errors import UserError
from score_sde.models import NETWORKS
from score_sde.models.adapter import Adapter
from score_sde.models.functional import Arrays, fingerprint
from score_sde.runs import config as configs
from score_sde.runs import folder
from score_sde.runs.experiment import Experiment
from score_sde.training import checkpoint_folder
from score_sde.training.state import NOTHING, Weights

# What its weights mean beside their shapes: the process, what is modelled, the network's options.
_MEANING = ("sde.", "space.name", "model.")
_SHOWN = 3


@dataclasses.dataclass(frozen=True)
class Request:
    """Which weights are asked for.

    Attributes:
        path: a run's folder, or one of its checkpoints, runs/NAME/checkpoints/STEP.
        weights: "ema", "raw" or a decay; see runs.folder.load.
        step: of the checkpoint; None for that of the path, or the newest.

    Raises:
        UserError: the path is none, or of a file, or names another step.
    """

    path: str
    weights: str = "ema"
    step: int | None = None

    def __post_init__(self) -> None:
        if not self.path:
            raise UserError("--init_from names no run: give its folder, or one of its checkpoints")
        path = Path(self.path)
        if path.is_file():
            raise UserError(
                f"--init_from={self.path} is a file: give a run's folder, such as --mode=import "
                "makes of a .pth file"
            )
        at = path.name if path.parent.name == "checkpoints" else ""
        if at.isdecimal():
            if self.step not in (None, int(at)):
                raise UserError(f"--init_from={self.path} is of step {at}: leave out --step")
            object.__setattr__(self, "step", int(at))
            path = path.parent.parent
        object.__setattr__(self, "path", str(path.resolve()))


@dataclasses.dataclass(frozen=True)
class Start:
    """What a run starts from.

    Attributes:
        weights: the arrays that are taken; none if the run goes on, or starts from nothing.
        record: what config.json says of it, as JSON values; None if the run starts from nothing.
        lines: the same, for people.
    """

    weights: Weights = NOTHING
    record: Mapping[str, Any] | None = None
    lines: tuple[str, ...] = ()


def start(workdir: Path, asked: Request | None, experiment: Experiment, again: bool) -> Start:
    """What a run starts from: a run that has a checkpoint goes on, and reads no other.

    Args:
        workdir: the run's folder.
        asked: what the command line asks for.
        experiment: the new run.
        again: whether a run that was begun, and has no checkpoint yet, is to start from what its
            config.json says if nothing is asked for.

    Raises:
        UserError: there is no such run or checkpoint, it is of another network, or nothing of it
            fits; or the run that goes on was begun from something else.
    """
    record = _recorded(workdir)
    if checkpoint_folder.latest(workdir / "checkpoints") is not None:
        if asked and not (record and _same(record, asked)):
            begun = f"from {record['run']}" if record else "from no other run"
            raise UserError(
                f"{workdir} was begun {begun}: leave out --init_from to go on with it, or give "
                "another --workdir"
            )
        return Start(record=record)
    if not asked and again and record:
        asked = Request(record["run"], record["weights"].removeprefix("ema "), record["step"])
    if not asked:
        return Start(lines=_from_nothing(experiment))
    if Path(asked.path) == workdir.resolve():
        raise UserError(f"--init_from={asked.path} is the run itself: give another --workdir")
    return read(asked, experiment)


def read(asked: Request, experiment: Experiment) -> Start:
    """Take from other weights what fits a network.

    Args:
        asked: which weights.
        experiment: of the network.

    Raises:
        UserError: as for `start`.
    """
    other = folder.opened(asked.path, weights=asked.weights, step=asked.step)
    ours, theirs = experiment.config.model.name, other.config.model.name
    # One that is another with more in it has the other's arrays under their paths.
    if not issubclass(NETWORKS[ours], NETWORKS[theirs]):
        raise UserError(f"{asked.path} is of the network {theirs}, and config.model.name={ours}")
    adapter = experiment.adapter
    found = other.experiment.adapter.whole(other.params | other.constants)
    if adapter.said:
        found = adapter.begun(found) | found
    weights = Weights(*(_fitting(shapes, found) for shapes in experiment.network.shapes))
    arrays = _joined(experiment.network.shapes)
    missed = _missed(arrays, found, _joined(weights), adapter)
    _check_adapted(asked, experiment, weights)
    if not (weights.constants if adapter.said else weights.params):
        raise UserError(
            f"nothing of {asked.path} fits: none of its {len(other.params)} arrays has the path "
            f"and shape of one of this network, such as {missed[0]}"
        )
    number = sum(map(len, weights))
    record = {
        "run": asked.path,
        "step": other.step,
        "weights": other.weights,
        "weights_sha256": fingerprint(other.params, other.constants),
        "arrays": number,
        "not_taken": missed,
    }
    taken = _joined(weights)
    drawn = sum(adapter.owns(path) and path not in taken for path in arrays)
    of = experiment.network.shapes[1 if adapter.said else 0]
    sizes = [sum(a.size for path, a in one.items() if path in of) for one in (taken, of)]
    lines = [
        f"starting from {asked.path} at step {other.step} ({other.weights} weights): {number} of "
        f"{len(arrays) - drawn} arrays, {sizes[0] / sizes[1]:.1%} of the parameters",
        *(f"not taken: {line}" for line in missed[:_SHOWN]),
    ]
    if len(missed) > _SHOWN:
        lines.append(f"not taken: {len(missed) - _SHOWN} more, which config.json lists")
    return Start(weights, record, (*lines, *_other_meaning(other.config, experiment.config)))


def _from_nothing(experiment: Experiment) -> tuple[str, ...]:
    """A line if the objective is made to start from a run's weights, and is given none."""
    owner, name = experiment.objective.STARTS_FROM, experiment.config.objective.name
    if not owner:
        return ()
    return (
        f"note: config.objective.name={name} is made to start from the weights of {owner}: without "
        "--init_from=RUN the network begins anew",
    )


def _joined(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Parameters and constants together."""
    return {path: array for part in parts for path, array in part.items()}


def _fitting(shapes: Mapping[str, Any], found: Arrays) -> Arrays:
    """The arrays that fit, on the host."""
    return {
        path: np.asarray(jax.device_get(found[path]), shape.dtype)
        for path, shape in shapes.items()
        if path in found and found[path].shape == shape.shape
    }


def _missed(
    ours: Mapping[str, Any], found: Arrays, taken: Collection[str], adapter: Adapter
) -> list[str]:
    """A line for each array of either network that is not taken."""
    missed = []
    for path in dict.fromkeys([*ours, *found]):
        if path not in taken and not adapter.owns(path):
            here, there = (
                str(list(arrays[path].shape)) if path in arrays else "none"
                for arrays in (ours, found)
            )
            missed.append(f"{path} ({there} there, {here} here)")
    return missed


def _check_adapted(asked: Request, experiment: Experiment, weights: Weights) -> None:
    """Raise UserError if weights that are adapted, and so stay as they are, are not there."""
    adapter = experiment.adapter
    for path in experiment.network.shapes[1]:
        if adapter.said and path not in weights.constants:
            raise UserError(
                f"{adapter.said} adapts all weights of a run, and {asked.path} has no {path} of "
                "the shape that this network has there"
            )


def _other_meaning(theirs: ConfigDict, ours: ConfigDict) -> list[str]:
    """A line for the fields, if any, that can give the same arrays another meaning."""
    there, here = (dict(configs.flatten(configs.to_json(config))) for config in (theirs, ours))
    changed = [
        f"config.{path} was {there[path]} and is {here[path]}"
        for path in sorted(here.keys() & there.keys())
        if path.startswith(_MEANING) and here[path] != there[path]
    ]
    return [f"note: they were trained with another config: {'; '.join(changed)}"] if changed else []


def _recorded(workdir: Path) -> Mapping[str, Any] | None:
    """What config.json says that a run was begun from, if there is a run and it says so."""
    if not (workdir / "config.json").exists():
        return None
    record = configs.read(workdir)[1].get("init_from")
    kinds = {"run": str, "step": int, "weights": str}
    known = isinstance(record, Mapping) and all(
        isinstance(record.get(name), kind) for name, kind in kinds.items()
    )
    if record is not None and not known:
        raise UserError(f"{workdir / 'config.json'} is not a run's config: see its run.init_from")
    return record


def _same(record: Mapping[str, Any], asked: Request) -> bool:
    """Whether a run that was begun from something was begun from this."""
    words = (record["weights"], *record["weights"].split())  # "ema 0.999" is ema, and 0.999
    return (
        record["run"] == asked.path
        and asked.weights in words
        and asked.step in (None, record["step"])
    )
