"""The network of a run without its arrays: variables for which a file's arrays have a place."""

from __future__ import annotations

from flax import nnx

from score_sde.models.functional import abstract, split
from score_sde.models.layers import Constant
from score_sde.objectives import OWN
from score_sde.runs.experiment import Experiment


def module(experiment: Experiment) -> nnx.Module:
    """The network as a module, by whose layers official files are read and written.

    Raises:
        ValueError: the run trains something else beside it.
    """
    if said := experiment.adapter.said:
        raise ValueError(
            f"{said} is trained beside a network, and a file of another project has the network "
            "alone: begin such a run by --init_from, and export one as NAME.safetensors"
        )
    return abstract(experiment.module)


def variables(experiment: Experiment) -> dict[str, nnx.Variable]:
    """All that a run has, by path: the network and what is trained beside it.

    Arrays of the objective's own are left out: those a file of any family may have.
    """
    params, constants = (split(arrays, OWN)[0] for arrays in experiment.network.shapes)
    trained = {path: nnx.Param(array) for path, array in params.items()}
    return trained | {path: Constant(array) for path, array in constants.items()}
