"""From an opened run to a subject of evaluation."""

from __future__ import annotations

import dataclasses
import functools
import importlib.metadata
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from score_sde.data import Source
from score_sde.evaluation.asked import EvaluationOptions
from score_sde.evaluation.subject import Subject, fingerprint
from score_sde.runs.folder import Opened
from score_sde.runs.generate import Generator, borrowed, sample_key
from score_sde.training.sharding import replicated, to_devices
from score_sde.version import __version__


def subject(
    run: Opened,
    source: Source,
    options: EvaluationOptions,
    mesh: Mesh,
    say: Callable[[str], None],
    training: Callable[[], Source],
    sampling_seed: int = 0,
) -> Subject:
    """What metrics are given of a run.

    Args:
        run: the run; the sampler of its experiment draws.
        source: the examples that it is held against.
        options: the section `evaluation` of a config.
        mesh: the devices.
        say: tells the user something.
        training: gives the examples that it was trained on.
        sampling_seed: of the samples; another one gives an independent set of them.
    """
    experiment = run.experiment
    sampler = experiment.sampler

    def draw(batch_size: int, number: int, first: int) -> Iterator[tuple[np.ndarray, int]]:
        generator = Generator(experiment, mesh, batch_size)
        cond = borrowed(experiment, training, number, sampling_seed)
        key = sample_key(experiment.seed, sampling_seed)
        weights = to_devices(replicated(mesh), jax.device_get((run.params, run.constants)))
        return generator.batches(*weights, key, number, cond=cond, first=first)

    return Subject(
        workdir=run.workdir,
        sde=run.sde,
        space=experiment.space,
        make=experiment.make,
        trains=experiment.objective.TRAINS,
        params=run.params,
        constants=run.constants,
        conditions=experiment.conditions,
        identity=identity(run),
        draw=draw,
        sampling={
            "sampler": {"name": type(sampler).__name__, **dataclasses.asdict(sampler)},
            "run_seed": experiment.seed,
            "sampling_seed": sampling_seed,
        },
        coupling=sampler.coupling,
        source=source,
        field=experiment.field.name,
        label="" if experiment.objective.draws else experiment.objective.field,
        number=min(options.num_examples or len(source), len(source)),
        mesh=mesh,
        batch_size=options.batch_size,
        seed=options.seed,
        say=say,
        training=functools.cache(training),
    )


def identity(run: Opened) -> dict[str, Any]:
    """What determines what a model computes, as JSON values."""
    return {
        "step": run.step,
        "weights": run.weights,
        "weights_sha256": fingerprint(run.params, run.constants),
        "precision": run.config.model.dtype,
        "versions": {"score_sde": __version__, "jax": importlib.metadata.version("jax")},
    }
