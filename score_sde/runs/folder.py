"""Runs: the folder that a run lives in, and opening one from a script or a notebook.

`load` opens a score network, `load_classifier` a classifier, `load_autoencoder` an autoencoder.
"""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import jax
from jax.sharding import Mesh

from score_sde import files
from score_sde.controls import Controls
from score_sde.errors import UserError
from score_sde.models.functional import Arrays
from score_sde.noise_labels import told_whole
from score_sde.objectives import AUTOENCODER, CLASSIFIER, CONSISTENCY, FLOW_MAP, with_article
from score_sde.prediction import Denoiser, Prediction
from score_sde.runs import begun, build, kept, posthoc
from score_sde.runs import config as configs
from score_sde.runs.experiment import Experiment, Make
from score_sde.runs.opened import (
    AutoencoderRun,
    Bound,
    BoundConsistency,
    BoundMap,
    ClassifierRun,
    Run,
)
from score_sde.training.checkpoints import Checkpoints
from score_sde.training.sharding import check_tensor, make_mesh, state_sharding

# What opens a run that draws no samples, and what else there is to do with it.
_OPENS = {
    CLASSIFIER: "score_sde.load_classifier opens it",
    AUTOENCODER: "score_sde.load_autoencoder opens it, --mode=evaluate says how well it "
    "reconstructs",
}


def load(
    workdir: str | os.PathLike[str],
    *,
    weights: str = "ema",
    step: int | None = None,
    fsdp: int | None = None,
    tensor: int = 1,
) -> Run:
    """Open the run of a score network.

    Args:
        workdir: its folder; ~ is the home folder.
        weights: "ema", the first moving average; "raw", the parameters themselves; or the decay of
            another moving average, such as "0.999" or "power_0.05"; or "posthoc:0.07", the
            power-function average of that sigma_rel, made of those that were kept (runs.posthoc).
        step: which checkpoint; the newest if None.
        fsdp: devices that share one copy of its arrays; the others hold further copies, and the
            pictures of prompts are split over all. None: all is on the first device.
        tensor: devices that share each example, of a transformer; with fsdp.

    Raises:
        UserError: there is no such run, checkpoint or moving average, it draws no samples, or the
            devices cannot be divided so.
    """
    workdir = files.expanded(workdir)
    mesh = None if fsdp is None else mesh_of(fsdp, tensor)
    experiment = _experiment(workdir, mesh)
    if not experiment.objective.draws:
        raise UserError(
            f"{workdir} holds {with_article(experiment.objective.TRAINS)}, which draws no samples: "
            f"{_OPENS[experiment.objective.TRAINS]}"
        )
    run = cast(Run, _open(workdir, experiment, weights, step, mesh))
    return run if mesh is None else dataclasses.replace(run, mesh=mesh)


def mesh_of(fsdp: int, tensor: int = 1) -> Mesh:
    """The devices that share the arrays of a run.

    Args:
        fsdp: see `load`.
        tensor: likewise.

    Raises:
        UserError: the devices cannot be divided so.
    """
    for name, size in (("fsdp", fsdp), ("tensor", tensor)):
        if size > 1 and jax.process_count() > 1:
            raise UserError(
                f"sampling.{name}={size} is of the devices of one process: leave it out"
            )
    return make_mesh(fsdp, tensor, "config.sampling")


def load_classifier(
    workdir: str | os.PathLike[str], *, weights: str = "ema", step: int | None = None
) -> ClassifierRun:
    """Open the run of a classifier.

    Args:
        workdir: its folder.
        weights: as for `load`.
        step: as for `load`.

    Raises:
        UserError: there is no such run, checkpoint or moving average, or it is of something else.
    """
    advice = "train configs/digits_classifier.py"
    return cast(ClassifierRun, _of(CLASSIFIER, advice, workdir, weights, step))


def load_autoencoder(
    workdir: str | os.PathLike[str], *, weights: str = "ema", step: int | None = None
) -> AutoencoderRun:
    """Open the run of an autoencoder; arguments and errors as for `load_classifier`."""
    advice = "train configs/emoji_autoencoder.py"
    return cast(AutoencoderRun, _of(AUTOENCODER, advice, workdir, weights, step))


def _of(
    trained: str, advice: str, workdir: str | os.PathLike[str], weights: str, step: int | None
) -> Run | ClassifierRun | AutoencoderRun:
    workdir = files.expanded(workdir)
    experiment = _experiment(workdir)
    if trained != experiment.objective.TRAINS:
        raise UserError(f"{workdir} holds no {trained}: {advice}")
    return _open(workdir, experiment, weights, step)


def opened(
    workdir: str | os.PathLike[str],
    *,
    weights: str = "ema",
    step: int | None = None,
    mesh: Mesh | None = None,
) -> Run | ClassifierRun | AutoencoderRun:
    """Open a run, whatever it trained.

    Args:
        workdir: its folder.
        weights: as for `load`.
        step: as for `load`.
        mesh: the devices that share its arrays; None: all is on the first.

    Raises:
        UserError: there is no such run, checkpoint or moving average.
    """
    workdir = files.expanded(workdir)
    return _open(workdir, _experiment(workdir, mesh), weights, step, mesh)


def _open(
    workdir: Path,
    experiment: Experiment,
    weights: str,
    step: int | None,
    mesh: Mesh | None = None,
) -> Run | ClassifierRun | AutoencoderRun:
    params, constants, step, name = _weights(workdir, experiment, weights, step, mesh)
    what = (workdir, step, experiment, params, constants, name)
    make, trained = experiment.make, experiment.objective.TRAINS

    def bound(function: Callable[..., Any]) -> Any:
        return Bound(function, params, constants)

    if trained == CLASSIFIER:
        return ClassifierRun(*what, *(bound(_method(make, n)) for n in ("log_probs", "log_prob")))
    if trained == AUTOENCODER:
        return AutoencoderRun(*what, *(bound(_method(make, n)) for n in ("encode", "decode")))
    if trained in (FLOW_MAP, CONSISTENCY):
        cls = BoundMap if trained == FLOW_MAP else BoundConsistency
        return Run(*what, cls(experiment.sde, _method(make, "average"), params, constants))
    return Run(*what, bound(_denoise(make)))


@functools.lru_cache(maxsize=32)
def _denoise(make: Make) -> Callable[..., Any]:
    """The denoiser of a network's arrays, compiled once for all runs of equal networks."""

    @functools.partial(jax.jit, static_argnames=("skip", "whole"))
    def denoise(
        params: Arrays,
        constants: Arrays,
        x: jax.Array,
        t: jax.Array,
        cond: Mapping[str, jax.Array] | None = None,
        controls: Controls | None = None,
        skip: tuple[int, ...] = (),
        whole: bool = False,
    ) -> Prediction:
        def around(network: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
            network = functools.partial(network, skip=skip) if skip else network
            network = network if controls is None else controls.around(network, t)
            return told_whole(network) if whole else network

        made = cast(Denoiser, make(params, constants, around=around))
        return made(x, t, cond)

    return denoise


@functools.lru_cache(maxsize=32)
def _method(make: Make, name: str) -> Callable[..., Any]:
    """A method of what a network's arrays make, compiled as `_denoise` is."""

    def method(params: Arrays, constants: Arrays, *args: Any) -> Any:
        return getattr(make(params, constants), name)(*args)

    method.__name__ = name
    return jax.jit(method)


def _experiment(workdir: Path, mesh: Mesh | None = None) -> Experiment:
    """What a run's config names."""
    config, found = configs.read(workdir)
    experiment = build.experiment(config, begun.data(workdir, found), mesh)
    if mesh is not None:
        network = f"config.model.name={config.model.name}"
        check_tensor(mesh, experiment.network.splits, "config.sampling", network)
    space = kept.space(workdir, begun.measured_space(workdir, found, experiment.space), config)
    return dataclasses.replace(experiment, space=space)


def _weights(
    workdir: Path,
    experiment: Experiment,
    weights: str,
    step: int | None,
    mesh: Mesh | None,
) -> tuple[Arrays, Arrays, int, str]:
    """Parameters, constants, step and name of the parameters of a checkpoint; see `load`."""
    averages = experiment.training.averages
    item = averages[0] if weights == "ema" else weights
    wanted = posthoc.asked(weights, experiment.training)
    if item not in ("raw", *averages) and wanted is None:
        raise UserError(f"weights={weights!r}: choose from ema, raw, {', '.join(averages)}")
    splits = experiment.network.splits
    if imported := kept.network(workdir, experiment.network, experiment.config, mesh):
        if mesh is not None:
            imported = jax.device_put(imported, state_sharding(mesh, imported, splits))
        if step not in (None, 0) or weights not in ("ema", "raw"):
            raise UserError(f"{workdir} is an imported model: it has one step, 0, and one average")
        return *imported, 0, "imported"
    checkpoints = Checkpoints(workdir / "checkpoints")
    try:
        # None, of a run without any, is what the next lines refuse.
        step = cast(int, checkpoints.latest_step() if step is None else step)
        shapes = experiment.network.shapes
        here = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
        where = (
            jax.tree.map(lambda a: here, shapes)
            if mesh is None
            else state_sharding(mesh, shapes, splits)
        )
        shapes = jax.tree.map(
            lambda a, s: jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=s), shapes, where
        )
        if wanted is not None:
            found = posthoc.read(workdir, checkpoints, experiment.training, shapes, step, wanted)
            return *found, step, weights
        params, constants = checkpoints.restore_weights(shapes, item, step)
    finally:
        checkpoints.close()
    return params, constants, step, item if item == "raw" else f"ema {item}"
