"""Noise levels that a file keeps beside its network, held against the process of a config."""

from __future__ import annotations

import numpy as np

from score_sde.runs.experiment import Experiment


def check(experiment: Experiment, name: str, sigmas: np.ndarray) -> None:
    """Compare the process with noise levels.

    Networks of every SDE keep those of a VE SDE: the others have only their number in common.

    Args:
        experiment: whose process is meant.
        name: of the levels in the file.
        sigmas: descending, [N], N > 0.

    Raises:
        ValueError: they differ.
    """
    process = experiment.sde
    misfit = f"the config does not fit the checkpoint, first at {name}: the checkpoint has"
    if process.scales not in (None, len(sigmas)):
        raise ValueError(f"{misfit} {len(sigmas)} noise levels, config.sde.scales={process.scales}")
    if experiment.config.sde.name not in ("ve", "smld"):
        return
    ours, theirs = (process.sigma_min, process.sigma_max), (float(sigmas[-1]), float(sigmas[0]))
    if not np.allclose(ours, theirs, rtol=1e-5):
        raise ValueError(
            f"{misfit} noise from {theirs[0]:g} to {theirs[1]:g}, "
            f"config.sde from {ours[0]:g} to {ours[1]:g}"
        )
