"""The input pipeline alone: batches of the data set, on the host."""

from __future__ import annotations

from collections.abc import Callable

from experiments.throughput import cases
from experiments.throughput.cases import Case
from score_sde.data import train_batches
from score_sde.runs import sources

BATCHES = 20  # that are read at a time


def batches_of(case: Case) -> tuple[Callable[[], None], int]:
    """What reads so many batches.

    Raises:
        DataError: the data are not here.
    """
    experiment = cases.read(case).experiment
    source = sources.split(experiment.config, "train")
    batches = train_batches(source, batch_size=case.batch, seed=experiment.seed)

    def call() -> None:
        for _ in range(BATCHES):
            next(batches)

    return call, BATCHES
