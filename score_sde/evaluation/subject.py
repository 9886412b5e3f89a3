"""What is evaluated: a model, the examples that it is held against, and where the work is done."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from score_sde.data import Source
from score_sde.errors import UserError
from score_sde.models.functional import Arrays
from score_sde.processes import SDE
from score_sde.spaces import Space
from score_sde.training.progress import Count
from score_sde.training.sharding import all_placed

# A device counts examples in 32 bits, and the number of each is in its random key.
MOST = 2**31 - 1

# (examples a batch, how many, the number of the first, what is told how many are done) -> batches
# of examples drawn by the model, on the host, and the function evaluations of each batch.
Draw = Callable[[int, int, int, Callable[[float], None]], Iterator[tuple[np.ndarray, int]]]


@dataclasses.dataclass(frozen=True)
class Subject:
    """What every metric is given.

    Attributes:
        workdir: the folder of the model's run.
        sde: its process.
        space: its space.
        make: makes of (parameters, constants) what `trains` says.
        trains: what it is; see objectives.Objective.TRAINS.
        params: its parameters.
        constants: its other arrays.
        conditions: names of the fields that it is told.
        identity: what determines what it computes, as JSON values.
        draw: draws from it, by the run's sampler.
        asked: the examples, of all fields, whose conditions the first so many samples are told;
            none where it is told nothing or classes only, which are drawn.
        sampling: what determines what is drawn, as JSON values: the sampler and its seed.
        coupling: what makes a sample depend on the others of its batch; "" if nothing does.
        source: the examples.
        field: the name of the field that is modelled.
        label: the name of the field that a classifier predicts; "" of any other model.
        number: evaluate the first so many examples.
        mesh: the devices.
        batch_size: examples a batch, over all devices.
        seed: of everything random in evaluation.
        say: tells the user something, on the first process only.
        training: gives the examples that the model was trained on, to hold its samples against.

    Raises:
        UserError: there are more examples to evaluate than MOST.
    """

    workdir: Path
    sde: SDE
    space: Space
    make: Callable[[Arrays, Arrays], Any]
    trains: str
    params: Arrays
    constants: Arrays
    conditions: tuple[str, ...]
    identity: dict[str, Any]
    draw: Draw
    asked: Callable[[int], Mapping[str, np.ndarray]]
    sampling: dict[str, Any]
    coupling: str
    source: Source
    field: str
    label: str
    number: int
    mesh: Mesh
    batch_size: int
    seed: int
    say: Callable[[str], None]
    training: Callable[[], Source]

    def __post_init__(self) -> None:
        if self.number > MOST:
            info = self.source.info
            raise UserError(
                f"{info.name} has {info.size:,} examples in its split {info.split}, and at most "
                f"{MOST:,} can be evaluated: give config.evaluation.num_examples, such as 50000"
            )

    @functools.cached_property
    def weights(self) -> tuple[Arrays, Arrays]:
        """Parameters and constants on its devices, split over those that share a copy."""
        return all_placed(self.mesh, (self.params, self.constants))

    @property
    def folder(self) -> Path:
        """Where a metric keeps what it needs to go on after it was killed."""
        return self.workdir / "evaluation"

    def count(self, total: int, what: str, done: int = 0) -> Count:
        """Shows the progress of a measurement; arguments as for Count."""
        return Count(total, what, done, jax.process_index() > 0, say=self.say)

    def told(self, batch: Mapping[str, Any]) -> dict[str, Any] | None:
        """What the model is told of a batch of examples; None if it is told nothing."""
        return {name: batch[name] for name in self.conditions} or None

    def data_protocol(self) -> dict[str, Any]:
        """What determines how the model is held against examples, as JSON values."""
        return {
            "sde": {"name": type(self.sde).__name__, **self.sde.parameters},
            **self.space.protocol,
            "conditions": list(self.conditions),
        }

    def protocol(self) -> dict[str, Any]:
        """What determines the numbers of any metric of the examples, as JSON values."""
        info = self.source.info
        return {
            "data": {
                "name": info.name,
                "split": info.split,
                "field": self.field,
                "examples": self.number,
                "of": info.size,
                "shape": list(info[self.field].shape),
                "sha256": examples_fingerprint(self.source, self.field, self.number),
            },
            "seed": self.seed,
            **self.identity,
        }


def examples_fingerprint(source: Source, field: str, number: int) -> str:
    """SHA-256 of 256 of the first examples, evenly spaced: tells folders apart that are as large.

    Args:
        source: the examples.
        field: of them.
        number: how many of the first there are to choose from.
    """
    rows = np.linspace(0, number - 1, min(256, number)).astype(np.int64)
    return hashlib.sha256(source.gather(rows)[field].tobytes()).hexdigest()
