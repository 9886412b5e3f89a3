"""Checkpoints of score_sde_pytorch as a family of released files; see families and song."""

from __future__ import annotations

from typing import NoReturn

from flax import nnx

from score_sde.interop import noise_levels, song
from score_sde.interop.released import Released
from score_sde.interop.weights import Weights
from score_sde.runs.experiment import Experiment


def propose(released: Released) -> NoReturn:
    """There is no config to propose: half of it leaves no trace in the file.

    Raises:
        ValueError: always.
    """
    raise ValueError(
        "it is a checkpoint of score_sde_pytorch, which does not say what it was trained with: "
        "give --config=paper:NAME (--config=paper:help lists them)"
    )


def fill(model: nnx.Module, released: Released, averaged: bool) -> Weights:
    """See families.Fill."""
    found = song.read(released.path, averaged)
    raw, constants = song.to_params(model, found, "raw")
    has_average = "ema" in found
    average = song.to_params(model, found, "ema")[0] if has_average else raw
    return Weights(
        raw,
        average,
        constants,
        found["step"],
        found.get("ema_decay"),
        has_raw=has_average or not averaged,
        has_average=averaged,
    )


def check(experiment: Experiment, released: Released) -> None:
    """Unconditional networks, of the noise levels in the file.

    Raises:
        ValueError: the config is of another, or the file cannot be read.
    """
    if experiment.conditions:
        raise ValueError("only the unconditional networks of config.model.name=unet are imported")
    sigmas = song.read(released.path, averaged=False)["model"].get(song.SIGMAS)
    if sigmas is not None:
        noise_levels.check(experiment, song.SIGMAS, sigmas)
