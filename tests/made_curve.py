"""A run that has measured a loss by time, without training."""

import functools

from score_sde import files, records
from score_sde.runs import begun, build, recipes


def measured_run(workdir, info, loss, t, quantity="eps"):
    """A run of digits_vp as it is when it begins, and what its evaluation.json says.

    Args:
        info: of its training examples.
        loss: at each of the times t.
    """
    experiment = _experiment(info)
    begun.begin(workdir, experiment.config, experiment)
    curve = {"t": list(t), "loss": list(loss)}
    entry = {"value": 0.1, "curve": curve, "protocol": {"quantity": quantity}}
    files.write_json(workdir / "evaluation.json", {"loss_by_time": records.sealed(entry)})


@functools.cache
def _experiment(info):
    return build.experiment(recipes.get("digits_vp"), info)
