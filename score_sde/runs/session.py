"""Training a run from its config: what is checked before anything is written, then the loop."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import jax
from jax.experimental import multihost_utils
from jax.sharding import Mesh
from ml_collections import ConfigDict

from score_sde import files
from score_sde.data import Source, SplitError
from score_sde.errors import UserError
from score_sde.evaluation import asked as evaluation
from score_sde.runs import (
    begun,
    borrowed_parts,
    build,
    captions,
    ignored,
    init_from,
    kept,
    pairs,
    sources,
    teacher,
)
from score_sde.runs import train as loop
from score_sde.runs.experiment import Experiment
from score_sde.runs.held import held

# (experiment, mesh, training examples, held-out ones, what it starts from)
Announce = Callable[[Experiment, Mesh, Source, Source | None, init_from.Start], None]


def train(
    config: ConfigDict,
    workdir: Path,
    announce: Announce,
    asked: init_from.Request | None = None,
    again: bool = True,
    given: Sequence[str] = (),
) -> tuple[Experiment, loop.Outcome]:
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
        DivergedError: the loss or its gradient is no longer finite, or spikes again and again.
    """
    begun.check_not_imported(workdir)
    train_set = sources.to_train(config, _warn)
    mesh = build.mesh(config)
    experiment = build.experiment(config, train_set.info, mesh)
    ignored.check_parts(experiment, given)
    loop.check(experiment, mesh)
    try:
        held_out = sources.matching(config, "test", experiment, "the model")
    except SplitError:  # a set without such a split trains without a held-out loss
        held_out = None
    if config.evaluation.metrics:
        evaluation.read(config.evaluation)  # a slip is told now, and not when training is done
    begun.check(workdir, config)  # what is not ours gets no lock file
    with held(workdir):
        found = begun.check(workdir, config)
        if found:
            taken, space = {}, kept.space(workdir, experiment.space, config)
        else:
            taken = borrowed_parts.of_space(experiment.space, config)
            space = experiment.space.with_parts({n: one.part() for n, one in taken.items()})
        space = space.fitted(train_set, experiment.field.name)
        if found:  # a run that goes on keeps what was measured when it began
            space = begun.same_data(workdir, found, train_set.info, space)
        experiment = dataclasses.replace(experiment, space=space)
        taught = teacher.opened(experiment, workdir if found else None)
        experiment = dataclasses.replace(experiment, teacher=taught.by)
        start = init_from.start(workdir, asked, experiment, again)
        if (said := experiment.adapter.said) and start.record is None:
            raise UserError(
                f"{said} adapts the weights of a run: give its folder as --init_from=RUN"
            )
        source = workdir if found else Path(start.record["run"]) if start.record else None
        if experiment.text.field:
            told, tokenizers = captions.opened(experiment, source)
            experiment = dataclasses.replace(experiment, captions=told)
            train_set, held_out = (
                None if one is None else captions.Captioned(one, experiment.text, tokenizers)
                for one in (train_set, held_out)
            )
        # Every process has looked at the folder before the first one writes to it.
        multihost_utils.sync_global_devices("the run's folder was checked")

        def begin() -> None:
            if jax.process_index() == 0:
                if experiment.captions is not None and not found:
                    with files.writing(workdir):
                        captions.keep(workdir, source, experiment.text)
                begun.begin(workdir, config, experiment, start.record, taught.record, taken)
                if isinstance(taught.by, pairs.Pairs):
                    pairs.write(workdir, taught.by)
                announce(experiment, mesh, train_set, held_out, start)

        outcome = loop.train(experiment, mesh, train_set, held_out, workdir, start.weights, begin)
        begun.check_still_there(workdir)
    return experiment, outcome


def _warn(line: str) -> None:
    """Nobody may read it, and training goes on."""
    with contextlib.suppress(OSError):
        print(line, file=sys.stderr, flush=True)


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
