"""From an opened run to a subject of evaluation."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

import numpy as np
from jax.sharding import Mesh

from score_sde.data import Source
from score_sde.evaluation.asked import EvaluationOptions
from score_sde.evaluation.subject import Subject
from score_sde.runs import identity
from score_sde.runs.generate import Generator, borrowed, lent, sample_key
from score_sde.runs.guide import Guided
from score_sde.runs.opened import Opened
from score_sde.training.sharding import all_placed


def subject(
    run: Opened,
    guided: Guided,
    source: Source,
    options: EvaluationOptions,
    mesh: Mesh,
    say: Callable[[str], None],
    opened: Callable[[str], Source],
    sampling_seed: int = 0,
    told_of: str = "train",
) -> Subject:
    """What metrics are given of a run.

    Args:
        run: the run; the sampler of its experiment draws.
        guided: how its drawing is guided.
        source: the examples that it is held against.
        options: the section `evaluation` of a config.
        mesh: the devices.
        say: tells the user something.
        opened: gives the examples of a split of its data.
        sampling_seed: of the samples; another one gives an independent set of them.
        told_of: the split whose examples say what samples are told.
    """
    experiment, lenders = run.experiment, functools.partial(opened, told_of)
    sampling = identity.sampler(
        experiment.sampler, experiment.seed, sampling_seed, guided.protocol
    ) | ({} if told_of == "train" else {"told_of": told_of})

    def draw(
        batch_size: int, number: int, first: int, on_progress: Callable[[float], None]
    ) -> Iterator[tuple[np.ndarray, int]]:
        generator = Generator(experiment, mesh, batch_size, guided.guide)
        cond = borrowed(experiment, lenders, number, sampling_seed)
        key = sample_key(experiment.seed, sampling_seed)
        weights = all_placed(mesh, (run.params, run.constants))
        return generator.batches(
            *weights, key, number, cond=cond, first=first, on_progress=on_progress
        )

    return Subject(
        workdir=run.workdir,
        sde=run.sde,
        space=experiment.space,
        make=experiment.make,
        trains=experiment.objective.TRAINS,
        params=run.params,
        constants=run.constants,
        conditions=experiment.conditions,
        identity=identity.identity(run),
        draw=draw,
        asked=lambda number: lent(experiment, lenders, number, sampling_seed),
        sampling=sampling,
        coupling=experiment.sampler.coupling,
        source=source,
        field=experiment.field.name,
        label=experiment.objective.answers,
        number=min(options.num_examples or len(source), len(source)),
        mesh=mesh,
        batch_size=options.batch_size,
        seed=options.seed,
        say=say,
        training=functools.cache(functools.partial(opened, "train")),
    )
