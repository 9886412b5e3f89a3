"""Training a run from its config: what is checked before anything is written, then the loop."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import jax
from jax.experimental import multihost_utils
from jax.sharding import Mesh
from ml_collections import ConfigDict

from score_sde.data import Source, SplitError
from score_sde.evaluation import asked as evaluation
from score_sde.runs import build, folder, ignored, init_from, pairs, teacher
from score_sde.runs import train as loop
from score_sde.runs.held import held
from score_sde.training.sharding import make_mesh

# (experiment, mesh, training examples, held-out ones, what it starts from)
Announce = Callable[[build.Experiment, Mesh, Source, Source | None, init_from.Start], None]


def train(
    config: ConfigDict,
    workdir: Path,
    announce: Announce,
    asked: init_from.Request | None = None,
    again: bool = True,
    given: Sequence[str] = (),
) -> tuple[build.Experiment, loop.Outcome]:
    """Begin a run in a folder, or go on with the one that is there.

    Args:
        config: the config.
        workdir: the run's folder; nothing is in it, or a run of this config.
        announce: says what begins, once nothing can be refused any more; on the first process.
        asked: the weights of another run that a new one is to start from.
        again: see init_from.start.
        given: dotted fields of the config that the user set.

    Returns:
        What was trained, and how that ended.

    Raises:
        UserError: the config, the data or the folder cannot work; nothing was written.
        NotFiniteError: the loss or its gradient is no longer finite.
    """
    folder.check_not_imported(workdir)
    train_set = build.source(config, "train")
    experiment = build.experiment(config, train_set.info)
    ignored.check_parts(experiment, given)
    mesh = make_mesh(experiment.training.fsdp)
    loop.check(experiment, mesh)
    try:
        held_out = build.matching(config, "test", experiment, "the model")
    except SplitError:  # a set without such a split trains without a held-out loss
        held_out = None
    if config.evaluation.metrics:
        evaluation.read(config.evaluation)  # a slip is told now, and not when training is done
    folder.check(workdir, config)  # what is not ours gets no lock file
    with held(workdir):
        begun = folder.check(workdir, config)
        space = experiment.space.fitted(train_set, experiment.field.name)
        if begun:  # a run that goes on keeps what was measured when it began
            space = folder.same_data(workdir, begun, train_set.info, space)
        experiment = dataclasses.replace(experiment, space=space)
        taught = teacher.opened(experiment, workdir if begun else None)
        experiment = dataclasses.replace(experiment, teacher=taught.by)
        start = init_from.start(workdir, asked, experiment, again)
        # Every process has looked at the folder before the first one writes to it.
        multihost_utils.sync_global_devices("the run's folder was checked")

        def begin() -> None:
            if jax.process_index() == 0:
                folder.begin(workdir, config, experiment, start.record, taught.record)
                if isinstance(taught.by, pairs.Pairs):
                    pairs.write(workdir, taught.by)
                announce(experiment, mesh, train_set, held_out, start)

        outcome = loop.train(experiment, mesh, train_set, held_out, workdir, start.weights, begin)
    return experiment, outcome


def stopped(outcome: loop.Outcome, what: str) -> str:
    """What to say of a training that a signal ended early.

    Args:
        outcome: how it ended.
        what: was given, a command or a call.
    """
    return (
        f"stopped by {outcome.stopped_by.name} at step {outcome.step}, which is saved. "
        f"The same {what} goes on from there."
    )
