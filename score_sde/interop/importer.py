"""From a released checkpoint to a run like any other.

The file's family is recognised, its config proposed unless one is given, and the arrays put where
our network has them: what a family adds to that stands in families.
"""

from __future__ import annotations

import contextlib
import dataclasses
import pickle
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from ml_collections import ConfigDict

from score_sde import files
from score_sde.data import Info, selection
from score_sde.errors import UserError, first_line
from score_sde.interop import controls, own_family, pipelines, token_models
from score_sde.interop.families import FAMILIES, Family
from score_sde.interop.importing import check_free, importing
from score_sde.interop.recognise import recognise
from score_sde.interop.released import Released
from score_sde.objectives import DENOISER, TOKEN_PREDICTOR
from score_sde.parts import Stored
from score_sde.runs import begun, borrowed_parts, build
from score_sde.runs import config as configs
from score_sde.runs.experiment import Experiment
from score_sde.training.checkpoints import Checkpoints
from score_sde.training.optimizer import optimizer
from score_sde.training.state import TrainState

NO_PIPELINE = "{} is neither a pipeline, a control nor a model of tokens: leave out --components"
NO_IMAGES = "{} is no pipeline of images: leave out --motion"


class Imported(NamedTuple):
    """What was imported.

    Attributes:
        step: the step of the checkpoint.
        parameters: how many trainable parameters it has.
        file_decay: the decay of its moving average; None if it does not say it.
        decay: the decay under which the run keeps that average.
        raw: whether it has raw parameters; else those of the run are the average, too.
        averaged: whether averages were read; else the raw parameters begin them.
        trains: what it is; see objectives.Objective.TRAINS.
        pipeline: whether it is a pipeline, with what it is released with.
        asked: how the command line asks it for what a text says, which is TEXT; "" if none is told.
        steers: whether it is a control, which steers such a pipeline.
    """

    step: int
    parameters: int
    file_decay: float | None
    decay: float
    raw: bool
    averaged: bool
    trains: str
    pipeline: bool = False
    asked: str = ""
    steers: bool = False


def propose(
    checkpoint: Path,
    image_size: int | None = None,
    components: Path | None = None,
    motion: Path | None = None,
) -> ConfigDict:
    """The config that fits a released file: --config=auto.

    Args:
        checkpoint: the file, see recognise.recognise.
        image_size: of the data, if the user says it: some files do not, and other fields depend on
            it.
        components: of a pipeline, see pipelines.opened; of a control, see controls.
        motion: of a pipeline, see pipelines.opened.

    Raises:
        UserError: the file cannot be read, or there is none.
    """
    with _reading(checkpoint):
        if pipelines.is_pipeline(checkpoint):
            return pipelines.propose(checkpoint, components, motion)
        if motion is not None:
            raise UserError(NO_IMAGES.format(checkpoint))
        if token_models.is_one(checkpoint):
            return token_models.propose(checkpoint, components)
        if controls.is_control(checkpoint):
            return configs.default()  # a control has none
        if components is not None:
            raise UserError(NO_PIPELINE.format(checkpoint))
        released = recognise(checkpoint)
        family = _family(released)
        if image_size is not None:
            arguments = {**released.arguments, "image_size": image_size}
            released = dataclasses.replace(released, arguments=arguments)
        with _fitting(released):
            if released.run is not None:
                return configs.from_json(released.run["config"])
            return family.propose(released)


def import_run(
    config: ConfigDict,
    checkpoint: Path,
    workdir: Path,
    averaged: bool = True,
    components: Path | None = None,
    motion: Path | None = None,
) -> Imported:
    """Make a run of a released file. Nothing in it is executed; see formats.restricted.

    The raw parameters and their moving average are taken. The state of PyTorch's optimiser is not:
    Adam's moments start at zero, at the file's step of the learning rate's schedule. The images
    need not be there: their size and classes come from the file, or else from the config, see
    data.known.

    Args:
        config: of the network in the file. A wrong size is found; whatever leaves no trace in the
            arrays (the parametrisation, beta, the FIR filter) is taken on trust.
        checkpoint: the file, of one of families.FAMILIES.
        workdir: the run's folder, which must be empty or missing.
        averaged: whether the file's moving average is wanted; else the raw parameters begin it.
        components: of a pipeline, see pipelines.opened; of a control, see controls.
        motion: of a pipeline, see pipelines.opened.

    Raises:
        UserError: the file cannot be read or used, the config does not fit it, or the folder is not
            empty. Then nothing was written.
    """
    check_free(workdir)
    decays = config.training.ema_decays
    if len(decays) != 1:
        raise UserError(
            "a released checkpoint holds one moving average: "
            f"config.training.ema_decays={tuple(decays)} must be one number"
        )
    if config.training.ema_profiles:
        raise UserError(
            "a released checkpoint holds no power-function averages: leave out "
            "config.training.ema_profiles"
        )
    with _reading(checkpoint):
        if pipelines.is_pipeline(checkpoint):
            found = pipelines.opened(checkpoint, components, averaged, motion)
            parameters = pipelines.import_pipeline(config, found, workdir)
            decay, asked = decays[0], found.kind.drawn.asked if found.encoders else ""
            return Imported(0, parameters, None, decay, False, True, DENOISER, True, asked)
        if motion is not None:
            raise UserError(NO_IMAGES.format(checkpoint))
        if token_models.is_one(checkpoint):
            parameters = token_models.import_network(config, checkpoint, workdir, components)
            return Imported(0, parameters, None, decays[0], False, True, TOKEN_PREDICTOR, True)
        if controls.is_control(checkpoint):
            parameters = controls.import_control(checkpoint, workdir, components)
            return Imported(0, parameters, None, decays[0], False, True, DENOISER, steers=True)
        if components is not None:
            raise UserError(NO_PIPELINE.format(checkpoint))
        released = recognise(checkpoint)
        family = _family(released)
        if config.model.name not in family.networks:
            raise UserError(
                f"{checkpoint} is of {released.family}, which no config.model.name="
                f"{config.model.name} has: give --config=auto"
            )
        with _fitting(released):
            info = _data(released, family, config)
        experiment = build.experiment(config, info)
        with _fitting(released):
            model = family.model(experiment)
            family.check(experiment, released)
            found = own_family.objectives(
                family.fill(model, released, averaged), released, experiment
            )
    decay = decays[0]
    state = TrainState(
        step=jnp.asarray(found.step, jnp.int32),
        params=found.raw,
        constants=found.constants,
        optimizer=_fresh(
            optimizer(experiment.optim, experiment.training.steps), found.raw, found.step
        ),
        ema={str(decay): found.average},
    )
    taken = borrowed_parts.of_space(experiment.space, config)
    with importing(workdir):
        _write(workdir, state, experiment, taken)
    return Imported(
        found.step,
        experiment.parameters,
        found.decay,
        decay,
        found.has_raw,
        found.has_average,
        experiment.objective.TRAINS,
    )


def _family(released: Released) -> Family:
    if released.family not in FAMILIES:
        raise ValueError(
            f"{released.path} is of {released.family}, which is recognised but cannot be imported"
        )
    return FAMILIES[released.family]


def _data(released: Released, family: Family, config: ConfigDict) -> Info:
    """What is known of the data that a network was trained on."""
    if released.run is not None:
        values = {"name": config.data.name, "split": "train", "size": 0}
        return Info.from_json({**values, "fields": released.run["fields"]})
    if family.fields is None:
        return selection.read(config.data).describe()
    return Info(config.data.name, "train", 0, family.fields(released, config))


@contextlib.contextmanager
def _fitting(released: Released) -> Iterator[None]:
    """Say in one line that begins with the file what does not fit, or what it lacks."""
    path = str(released.path)
    try:
        yield
    except ValueError as error:
        text = str(error)
        raise UserError(text if text.startswith(path) else f"{path}: {text}") from error
    except KeyError as error:
        raise UserError(f"{path}: it lacks {error.args[0]} of {released.family}") from error
    except (ArithmeticError, AttributeError, IndexError, TypeError) as error:
        raise UserError(
            f"{path}: what it or the file beside it says is not of {released.family}: "
            f"{first_line(error)}"
        ) from error


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Say in one line what is wrong with a file."""
    if path.exists() and not (path.is_file() or path.is_dir()):  # a pipe would be waited for
        raise UserError(f"cannot read {path}: it is no regular file")
    try:
        yield
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    except pickle.UnpicklingError as error:
        raise UserError(f"{path} is refused: {error}") from error
    except UserError:
        raise
    except ValueError as error:
        raise UserError(" ".join(str(error).split())) from error


def _fresh(
    transformation: optax.GradientTransformation, params: dict[str, jax.Array], step: int
) -> optax.OptState:
    """A new state of the optimiser, but for the schedule, which metrics.csv reports by the step."""
    is_schedule = lambda part: isinstance(part, optax.ScaleByScheduleState)  # noqa: E731
    return jax.tree.map(
        lambda part: (
            part._replace(count=jnp.asarray(step, jnp.int32)) if is_schedule(part) else part
        ),
        jax.jit(transformation.init)(params),  # each shape of an array would be compiled
        is_leaf=is_schedule,
    )


def _write(
    workdir: Path, state: TrainState, experiment: Experiment, taken: Mapping[str, Stored]
) -> None:
    """The checkpoint first: a folder is a run once it has a config.json."""
    training = experiment.training
    checkpoints = Checkpoints(workdir / "checkpoints", training.keep_last, training.keep_every)
    try:
        with files.writing(workdir):
            checkpoints.save(
                state, {"next_index": int(state.step)}, configs.to_json(experiment.config)
            )
    finally:
        checkpoints.close()
    begun.begin(workdir, experiment.config, experiment, taken=taken)
