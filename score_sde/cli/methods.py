"""How what is known of examples is used: --method."""

from __future__ import annotations

from score_sde.cli.flags import Options
from score_sde.errors import UserError
from score_sde.guidance.methods import METHODS, Method
from score_sde.runs.experiment import Experiment


def chosen(options: Options, experiment: Experiment) -> Method:
    """How what is known is used, with what its options say."""
    if options.method == "gibbs" and experiment.space.subspace.centred:
        raise UserError("--method=gibbs is not for sets without a centre of mass: take another")
    if options.method == "gibbs":
        return METHODS["gibbs"](options.sweeps)
    if options.method != "dps":
        return METHODS[options.method]()
    steps = experiment.sampler.pieces(experiment.sde)
    if steps == 1:
        raise UserError(
            "--method=dps goes a certain way in each step of a sampler, and this one is solved for "
            "in one piece: give --config.sampling.sampler=ddim, for example, or --method=pigdm"
        )
    return METHODS["dps"](steps)
