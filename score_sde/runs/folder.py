"""Runs: the folder that a run lives in, and opening one from a script or a notebook.

`load` opens a score network, `load_classifier` a classifier.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib.metadata
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import jax
import numpy as np
from ml_collections import ConfigDict

from score_sde import files
from score_sde.classifier import LogProb
from score_sde.data.base import DataError, Info
from score_sde.data.difference import difference
from score_sde.data.selection import DETERMINING
from score_sde.errors import UserError
from score_sde.fields import Field
from score_sde.flow_map import FlowMap
from score_sde.models.functional import Arrays
from score_sde.objectives import CLASSIFIER, CONSISTENCY, FLOW_MAP
from score_sde.prediction import Denoiser, Prediction
from score_sde.processes import SDE
from score_sde.prompting import Encoder
from score_sde.runs import build, kept, posthoc, prompted
from score_sde.runs import config as configs
from score_sde.runs.held import LOCK
from score_sde.runs.prompted import Generated, Prompts
from score_sde.spaces import Space
from score_sde.training import checkpoint_folder, snapshots
from score_sde.training.checkpoints import Checkpoints
from score_sde.training.optimizer import ENDING
from score_sde.version import __version__

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
)


@dataclasses.dataclass(frozen=True, repr=False)
class Opened:
    """A finished or running run, opened at one checkpoint.

    Attributes:
        workdir: its folder.
        step: the step of the checkpoint.
        experiment: everything that its config names.
        params: the parameters of the checkpoint that are used.
        constants: the network's other arrays.
        weights: which parameters they are: "raw", or "ema" and its decay.
    """

    workdir: Path
    step: int
    experiment: build.Experiment
    params: Arrays
    constants: Arrays
    weights: str

    def __repr__(self) -> str:
        """Three lines: where it is from, of what it is, and what it is."""
        experiment = self.experiment
        told = f" given {', '.join(experiment.conditions)}" if experiment.conditions else ""
        kind = type(self).__name__
        return (
            f"{kind} of {self.workdir} at step {self.step:,} ({self.weights} weights)\n"
            f"data: {experiment.data.name}, {experiment.field.words}{told}\n"
            f"model: {self.config.model.name} of {experiment.parameters:,} parameters, {self.sde}"
        )

    @property
    def config(self) -> ConfigDict:
        """Its config."""
        return self.experiment.config

    @property
    def sde(self) -> SDE:
        """Its forward process."""
        return self.experiment.sde

    @property
    def space(self) -> Space:
        """What the model sees of an example: space.encode and space.decode."""
        return self.experiment.space


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Bound:
    """A function of a network's arrays that has them: a pytree, which knows nulls as networks do.

    Attributes:
        function: (parameters, constants, *arguments), compiled on first use.
        params: the parameters.
        constants: the network's other arrays.
    """

    TAKES_NULLS: ClassVar[bool] = True

    function: Callable[..., Any] = dataclasses.field(metadata={"static": True})
    params: Arrays
    constants: Arrays

    def __call__(self, *args: Any) -> Any:
        """The function of the rest of its arguments."""
        return self.function(self.params, self.constants, *args)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class BoundMap(FlowMap):
    """The flow map of a network's arrays, as Bound.

    Attributes:
        sde: its process.
        function: (parameters, constants, x, t, s, cond) to a pair, compiled on first use.
        params: the parameters.
        constants: the network's other arrays.
    """

    sde: SDE = dataclasses.field(metadata={"static": True})
    function: Callable[..., Prediction] = dataclasses.field(metadata={"static": True})
    params: Arrays
    constants: Arrays

    def average(self, x: jax.Array, t: jax.Array, s: jax.Array, cond: Any = None) -> Prediction:
        """See FlowMap."""
        return self.function(self.params, self.constants, x, t, s, cond)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class BoundConsistency(BoundMap):
    """The same of a consistency model."""

    TO_DATA: ClassVar[bool] = True


@dataclasses.dataclass(frozen=True, repr=False)
class Run(Opened):
    """The run of a score network; see Opened.

    Attributes:
        denoise: its denoiser, compiled on first use; a pytree, so it can be an argument under jit.
            Of a flow map or a consistency model it is a flow_map.FlowMap, which jumps too.
    """

    denoise: Denoiser

    @functools.cached_property
    def encoders(self) -> Sequence[Encoder | None]:
        """What tells the model of prompts; read on first use."""
        return kept.encoders(self.workdir, self.experiment.text)

    def text(self, *prompts: Prompts) -> dict[str, jax.Array]:
        """What the network is told of prompts; see prompted.told."""
        return prompted.told(self, *prompts)

    def generate(self, *args: Any, **kwargs: Any) -> Generated:
        """Pictures of prompts; see prompted.generate."""
        return prompted.generate(self, *args, **kwargs)


@dataclasses.dataclass(frozen=True, repr=False)
class ClassifierRun(Opened):
    """The run of a classifier; see Opened. It knows the noise of `sde`.

    Attributes:
        log_probs: log p(y | x_t) of every class y, nats: (x, t) to [batch, classes]; a pytree,
            compiled on first use.
        log_prob: the same of one class each: (x, t, label) to [batch], as guidance takes it.
    """

    log_probs: Callable[[jax.Array, jax.Array], jax.Array]
    log_prob: LogProb

    @property
    def label(self) -> Field:
        """The field that it predicts: its name, its number of classes, their names."""
        return self.experiment.data[self.experiment.objective.field]


def load(workdir: str | os.PathLike[str], *, weights: str = "ema", step: int | None = None) -> Run:
    """Open the run of a score network.

    Args:
        workdir: its folder; ~ is the home folder.
        weights: "ema", the first moving average; "raw", the parameters themselves; or the decay of
            another moving average, such as "0.999" or "power_0.05"; or "posthoc:0.07", the
            power-function average of that sigma_rel, made of those that were kept (runs.posthoc).
        step: which checkpoint; the newest if None.

    Raises:
        UserError: there is no such run, checkpoint or moving average, or it is of a classifier.
    """
    workdir = files.expanded(workdir)
    experiment = _experiment(workdir)
    if not experiment.objective.draws:
        raise UserError(
            f"{workdir} holds a classifier, which draws no samples: "
            "score_sde.load_classifier opens it"
        )
    return _open(workdir, experiment, weights, step)


def load_classifier(
    workdir: str | os.PathLike[str], *, weights: str = "ema", step: int | None = None
) -> ClassifierRun:
    """Open the run of a classifier.

    Args:
        workdir: its folder.
        weights: as for `load`.
        step: as for `load`.

    Raises:
        UserError: there is no such run, checkpoint or moving average, or it is of a score network.
    """
    workdir = files.expanded(workdir)
    experiment = _experiment(workdir)
    if experiment.objective.draws:
        raise UserError(f"{workdir} holds no classifier: train configs/digits_classifier.py")
    return _open(workdir, experiment, weights, step)


def opened(
    workdir: str | os.PathLike[str], *, weights: str = "ema", step: int | None = None
) -> Run | ClassifierRun:
    """Open a run, whatever it trained; arguments and errors as for `load`."""
    workdir = files.expanded(workdir)
    return _open(workdir, _experiment(workdir), weights, step)


def _open(
    workdir: Path, experiment: build.Experiment, weights: str, step: int | None
) -> Run | ClassifierRun:
    params, constants, step, name = _weights(workdir, experiment, weights, step)
    what = (workdir, step, experiment, params, constants, name)

    @jax.jit
    def denoise(params, constants, x, t, cond=None):
        return experiment.make(params, constants)(x, t, cond)

    @jax.jit
    def average(params, constants, x, t, s, cond=None):
        return experiment.make(params, constants).average(x, t, s, cond)

    @jax.jit
    def log_probs(params, constants, x, t):
        return experiment.make(params, constants).log_probs(x, t)

    @jax.jit
    def log_prob(params, constants, x, t, label):
        return experiment.make(params, constants).log_prob(x, t, label)

    def bound(function: Callable[..., Any]) -> Any:
        return Bound(function, params, constants)

    trained = experiment.objective.TRAINS
    if trained == CLASSIFIER:
        return ClassifierRun(*what, bound(log_probs), bound(log_prob))
    if trained in (FLOW_MAP, CONSISTENCY):
        cls = BoundMap if trained == FLOW_MAP else BoundConsistency
        return Run(*what, cls(experiment.sde, average, params, constants))
    return Run(*what, bound(denoise))


def _experiment(workdir: Path) -> build.Experiment:
    """What a run's config names."""
    config, found = configs.read(workdir)
    experiment = build.experiment(config, _data(workdir, found))
    space = kept.space(workdir, _space(workdir, found, experiment.space))
    return dataclasses.replace(experiment, space=space)


def _data(workdir: Path, found: Mapping[str, Any]) -> Info:
    """What a run found out about its data when it began."""
    try:
        return Info.from_json(found["data"])
    except (KeyError, TypeError, DataError) as error:
        raise UserError(f"{workdir / 'config.json'} is not a run's config: {error}") from error


def _space(workdir: Path, found: Mapping[str, Any], space: Space) -> Space:
    """A space as it was measured when a run began."""
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


def _weights(
    workdir: Path, experiment: build.Experiment, weights: str, step: int | None
) -> tuple[Arrays, Arrays, int, str]:
    """Parameters, constants, step and name of the parameters of a checkpoint; see `load`."""
    averages = experiment.training.averages
    item = averages[0] if weights == "ema" else weights
    wanted = posthoc.asked(weights, experiment.training)
    if item not in ("raw", *averages) and wanted is None:
        raise UserError(f"weights={weights!r}: choose from ema, raw, {', '.join(averages)}")
    if imported := kept.network(workdir, experiment.network):
        if step not in (None, 0) or weights not in ("ema", "raw"):
            raise UserError(f"{workdir} is an imported model: it has one step, 0, and one average")
        return *imported, 0, "imported"
    checkpoints = Checkpoints(workdir / "checkpoints")
    try:
        step = checkpoints.latest_step() if step is None else step
        here = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
        shapes = jax.tree.map(
            lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=here),
            experiment.network.shapes,
        )
        if wanted is not None:
            found = posthoc.read(workdir, checkpoints, experiment.training, shapes, step, wanted)
            return *found, step, weights
        params, constants = checkpoints.restore_weights(shapes, item, step)
    finally:
        checkpoints.close()
    return params, constants, step, item if item == "raw" else f"ema {item}"


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
    """Whether a folder holds anything; the lock file of a training that was killed is nothing.

    Raises:
        UserError: it cannot be read.
    """
    try:
        return workdir.is_dir() and any(entry.name != LOCK for entry in workdir.iterdir())
    except OSError as error:
        raise UserError(
            f"cannot read {workdir}: {error.strerror}. Give another --workdir"
        ) from error


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
    before, measured = _data(workdir, found), _space(workdir, found, space)
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
    experiment: build.Experiment,
    init_from: Mapping[str, Any] | None = None,
    teacher: Mapping[str, Any] | None = None,
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

    Raises:
        UserError: the folder cannot be written.
    """
    versions = {
        name: importlib.metadata.version(name)
        for name in ("jax", "flax", "optax", "orbax-checkpoint")
    }
    found = {
        "data": experiment.data.to_json(),
        "space": {name: a.tolist() for name, a in experiment.space.arrays().items()},
        "parameters": experiment.parameters,
        "versions": {"score_sde": __version__, **versions},
        **({"init_from": dict(init_from)} if init_from else {}),
        **({"teacher": dict(teacher)} if teacher else {}),
    }
    with files.writing(workdir):
        if not _trained(workdir):
            for picture in (workdir / "samples").glob("[0-9]*.png"):
                picture.unlink()
            shutil.rmtree(workdir / snapshots.FOLDER, ignore_errors=True)
        files.write_json(workdir / "config.json", configs.to_record(config, found))


def _trained(workdir: Path) -> bool:
    """Whether a run has a checkpoint."""
    return checkpoint_folder.latest(workdir / "checkpoints") is not None
