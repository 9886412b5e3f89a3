"""What determines what a model computes and draws, as JSON values, for the record."""

from __future__ import annotations

import dataclasses
import importlib.metadata
from collections.abc import Mapping
from typing import Any

from score_sde.evaluation.subject import fingerprint
from score_sde.runs.build import Experiment
from score_sde.runs.folder import Opened
from score_sde.version import __version__


def identity(run: Opened) -> dict[str, Any]:
    """What determines what a model computes."""
    return {
        "step": run.step,
        "weights": run.weights,
        "weights_sha256": fingerprint(run.params, run.constants),
        "precision": run.config.model.dtype,
        "versions": {"score_sde": __version__, "jax": importlib.metadata.version("jax")},
    }


def sampler(experiment: Experiment, seed: int, guidance: Mapping[str, Any]) -> dict[str, Any]:
    """What determines what is drawn from it, but for what couples a batch.

    Args:
        experiment: whose sampler draws.
        seed: of this set of samples.
        guidance: what determines how it is guided; see guide.Guided.
    """
    found = experiment.sampler
    return {
        "sampler": {"name": type(found).__name__, **dataclasses.asdict(found)},
        "run_seed": experiment.seed,
        "sampling_seed": seed,
        **guidance,
    }
