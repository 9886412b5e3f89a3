"""What determines what a model computes and draws, as JSON values, for the record."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from typing import Any

from score_sde import sections
from score_sde.models.functional import fingerprint
from score_sde.runs.opened import Opened
from score_sde.samplers.sample import Sampler
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


def sampler(
    found: Sampler, run_seed: int, seed: int, guidance: Mapping[str, Any]
) -> dict[str, Any]:
    """What determines what is drawn of a run, but for what couples a batch.

    Args:
        found: what draws.
        run_seed: of the run.
        seed: of this set of samples.
        guidance: what determines how it is guided; see guide.Guided.
    """
    options = {name: getattr(found, name) for name in sections.entries(type(found))}
    return {
        "sampler": {"name": type(found).__name__, **options},
        "run_seed": run_seed,
        "sampling_seed": seed,
        **guidance,
    }
