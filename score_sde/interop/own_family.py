"""Files of ours as a family of released files: any run, by our own names; see families.

What interop.export writes where no official network has all arrays of a run. A name is the array's
path in the run, with a point where that has a slash.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

import jax.numpy as jnp
from flax import nnx

from score_sde.interop import slots
from score_sde.interop.layouts import one
from score_sde.interop.released import Released
from score_sde.interop.weights import Weights
from score_sde.models.functional import split
from score_sde.objectives import OWN
from score_sde.runs.experiment import Experiment


def named(path: str) -> str:
    """The name in a file of the array that models.functional calls so."""
    return path.replace("/", ".")


def propose(released: Released) -> NoReturn:
    """There is none to propose: the file says its config itself.

    Raises:
        ValueError: always.
    """
    raise ValueError("it does not say the config of its run, as the files of score_sde do")


def places(variables: Mapping[str, nnx.Variable], released: Released | None = None) -> slots.Slots:
    """Every array of a run, as abstract.variables has them; see families."""
    for path, variable in variables.items():
        yield one(named(path), variable)


def export(
    variables: Mapping[str, nnx.Variable], experiment: Experiment, path: Path
) -> slots.Slots:
    """The same; see families.Family."""
    return places(variables)


def objectives(weights: Weights, released: Released, experiment: Experiment) -> Weights:
    """What a file gives a network, and the arrays of the objective's own with it.

    Args:
        weights: of the network.
        released: the file.
        experiment: what its run trains.

    Raises:
        ValueError: the objective has other arrays than the file, or has some where the file has
            none, or the other way round.
    """
    shapes = [split(arrays, OWN)[1] for arrays in experiment.network.shapes]
    asked = {named(f"{OWN}/{path}"): a.shape for part in shapes for path, a in part.items()}
    if asked and not released.own:
        raise ValueError(
            "it holds a network, and nothing that an objective learns beside it: leave out "
            "config.objective.denoising.uncertainty, or give another objective"
        )
    said = {name: array.shape for name, array in released.own.items()}
    if differing := sorted(said.items() ^ asked.items()):
        raise ValueError(
            f"config.objective does not fit what an objective has learnt in it, first in "
            f"{differing[0][0]}"
        )
    learnt, constants = (
        {
            f"{OWN}/{path}": jnp.asarray(released.own[named(f"{OWN}/{path}")], array.dtype)
            for path, array in part.items()
        }
        for part in shapes
    )
    return weights._replace(
        raw=weights.raw | learnt,
        average=weights.average | learnt,
        constants=weights.constants | constants,
    )
