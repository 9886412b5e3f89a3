"""From a released PyTorch checkpoint to a run like any other."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from ml_collections import ConfigDict

from score_sde import files
from score_sde.data import selection
from score_sde.errors import UserError
from score_sde.interop import song
from score_sde.models.functional import streams
from score_sde.runs import build, folder
from score_sde.runs import config as configs
from score_sde.runs.build import Experiment
from score_sde.runs.held import held
from score_sde.training.checkpoints import Checkpoints
from score_sde.training.optimizer import optimizer
from score_sde.training.state import TrainState


class Imported(NamedTuple):
    """What was imported.

    Attributes:
        step: the step of the checkpoint.
        parameters: how many trainable parameters it has.
        file_decay: the decay of its moving average; None if that was not read.
        decay: the decay under which the run keeps that average.
        raw: whether it has raw parameters; else those of the run are the average, too.
    """

    step: int
    parameters: int
    file_decay: float | None
    decay: float
    raw: bool


def import_run(
    config: ConfigDict, checkpoint: Path, workdir: Path, averaged: bool = True
) -> Imported:
    """Make a run of an official checkpoint. Nothing in the file is executed; see torch_file.

    The raw parameters and their moving average are taken. The state of PyTorch's optimiser is not:
    Adam's moments start at zero, at the file's step of the learning rate's schedule. The images
    need not be there: their size and classes come from the config, see data.known.

    Args:
        config: of the network in the file. A wrong size is found; whatever leaves no trace in the
            arrays (the parametrisation, beta, the FIR filter) is taken on trust.
        checkpoint: the .pth or .safetensors file, see song.read.
        workdir: the run's folder, which must be empty or missing.
        averaged: whether the file has a moving average; else the raw parameters begin it.

    Raises:
        UserError: the file cannot be read or used, the config does not fit it, or the folder is not
            empty. Then nothing was written.
    """
    _check_free(workdir)
    decays = config.training.ema_decays
    if len(decays) != 1:
        raise UserError(
            "a released checkpoint holds one moving average: "
            f"config.training.ema_decays={tuple(decays)} must be one number"
        )
    experiment = build.experiment(config, selection.read(config.data).describe())
    if config.model.name != "unet" or experiment.conditions:
        raise UserError("only the unconditional networks of config.model.name=unet are imported")
    found = _read(checkpoint, averaged)
    _check_noise_levels(experiment, found["model"])
    model = nnx.eval_shape(lambda: experiment.module(streams(0)))
    try:
        raw, constants = song.to_params(model, found, "raw")
        average, _ = song.to_params(model, found, "ema" if "ema" in found else "raw")
    except ValueError as error:
        raise UserError(f"{checkpoint}: {error}") from error
    step, decay = found["step"], decays[0]
    state = TrainState(
        step=jnp.asarray(step, jnp.int32),
        params=raw,
        constants=constants,
        optimizer=_fresh(optimizer(experiment.optim, experiment.training.steps), raw, step),
        ema={str(decay): average},
    )
    with held(workdir):
        _check_free(workdir)
        _write(workdir, state, experiment)
    file_decay = found.get("ema_decay")
    raw_too = "ema" in found or not averaged
    return Imported(step, experiment.parameters, file_decay, decay, raw_too)


def _check_free(workdir: Path) -> None:
    if folder.occupied(workdir):
        raise UserError(f"{workdir} is not an empty folder; give another --workdir")


def _read(path: Path, averaged: bool) -> dict[str, Any]:
    if path.exists() and not (path.is_file() or path.is_dir()):  # a pipe would be waited for
        raise UserError(f"cannot read {path}: it is no regular file")
    try:
        return song.read(path, averaged)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    except pickle.UnpicklingError as error:
        raise UserError(f"{path} is refused: {error}") from error
    except ValueError as error:
        raise UserError(" ".join(str(error).split())) from error


def _check_noise_levels(experiment: Experiment, arrays: dict[str, Any]) -> None:
    """Compare the process with the noise levels that the file keeps beside the network.

    Networks of every SDE keep those of a VE SDE: the others have only their number in common.
    """
    sigmas = arrays.get(song.SIGMAS)
    if sigmas is None:
        return
    process = experiment.sde
    misfit = f"the config does not fit the checkpoint, first at {song.SIGMAS}: the checkpoint has"
    if process.scales not in (None, len(sigmas)):
        raise UserError(f"{misfit} {len(sigmas)} noise levels, config.sde.scales={process.scales}")
    if experiment.config.sde.name not in ("ve", "smld"):
        return
    ours, theirs = (process.sigma_min, process.sigma_max), (float(sigmas[-1]), float(sigmas[0]))
    if not np.allclose(ours, theirs, rtol=1e-5):
        raise UserError(
            f"{misfit} noise from {theirs[0]:g} to {theirs[1]:g}, "
            f"config.sde from {ours[0]:g} to {ours[1]:g}"
        )


def _fresh(
    transformation: optax.GradientTransformation, params: dict[str, jax.Array], step: int
) -> optax.OptState:
    """A new state of the optimiser, but for the schedule, which metrics.csv reports by the step."""
    is_schedule = lambda part: isinstance(part, optax.ScaleByScheduleState)  # noqa: E731
    return jax.tree.map(
        lambda part: (
            part._replace(count=jnp.asarray(step, jnp.int32)) if is_schedule(part) else part
        ),
        transformation.init(params),
        is_leaf=is_schedule,
    )


def _write(workdir: Path, state: TrainState, experiment: Experiment) -> None:
    """The checkpoint first: a folder is a run once it has a config.json."""
    training = experiment.training
    with files.writing(workdir):
        workdir.mkdir(parents=True, exist_ok=True)
    checkpoints = Checkpoints(workdir / "checkpoints", training.keep_last, training.keep_every)
    try:
        with files.writing(workdir):
            checkpoints.save(
                state, {"next_index": int(state.step)}, configs.to_json(experiment.config)
            )
    finally:
        checkpoints.close()
    folder.begin(workdir, experiment.config, experiment)
