"""Numbers of each example of a data set, in a journal by batches, so that a kill loses one."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from score_sde import files
from score_sde.errors import UserError, solver_error_as
from score_sde.evaluation.journal import Journal
from score_sde.evaluation.subject import Subject
from score_sde.models.functional import Arrays
from score_sde.samplers.underway import listening
from score_sde.spaces import Space
from score_sde.training.sharding import batch_sharding, replicated, to_devices

# (model, space, keys, batch) -> numbers of each example by name, [batch, ...] each.
Measure = Callable[[Any, Space, jax.Array, Mapping[str, jax.Array]], dict[str, jax.Array]]


def of_examples(
    subject: Subject, name: str, protocol: dict[str, Any], measure: Measure
) -> dict[str, np.ndarray]:
    """Measure every example once, or go on with a measurement that was interrupted.

    Args:
        subject: the model and the examples.
        name: of what is measured.
        protocol: all that determines the numbers, as JSON values.
        measure: a function of the model (a denoiser or a classifier), of the space, of a random key
            for each example, [batch], and of the examples, an array for each field, [batch, ...];
            it is compiled.

    Returns:
        Its numbers by name, float64, [number of examples, ...].

    Raises:
        UserError: a solver gave up, the run's folder cannot be written, or what is there from
            before is damaged.
    """
    journal = Journal(subject.folder, name, protocol, subject.say)
    rows = {index: numbers for row in journal.rows() for index, numbers in _pairs(row)}
    # Every process has read the journal before the first one writes to it.
    multihost_utils.sync_global_devices("the journal was read")
    if rows:
        subject.say(f"{name}: {len(rows)} of {subject.number} examples are there from before")
    missing = np.array([i for i in range(subject.number) if i not in rows], np.int32)
    compiled = _compiled(subject, measure)
    everywhere = replicated(subject.mesh)
    model = *subject.weights, to_devices(everywhere, jax.device_get(subject.space))
    size = -(-min(subject.batch_size, len(missing)) // subject.mesh.size) * subject.mesh.size
    with subject.count(subject.number, f"examples of {name}", len(rows)) as count:
        for start in range(0, len(missing), max(size, 1)):
            indices = missing[start : start + size]
            # The last batch is filled up with copies of its last example, which are not counted.
            filled = indices[np.minimum(np.arange(size), len(indices) - 1)]
            batch = subject.source.gather(filled.astype(np.int64))

            def report(share: float, done: int = len(rows), size: int = len(indices)) -> None:
                count.reach(done + share * size)

            with solver_error_as(UserError), listening(report):
                out = jax.device_get(compiled(*model, *to_devices(everywhere, (batch, filled))))
            row = {"index": indices.tolist()}
            row |= {key: array[: len(indices)].tolist() for key, array in out.items()}
            if jax.process_index() == 0:
                with files.writing(subject.workdir):
                    journal.append(row)
            rows |= dict(_pairs(row))
            count.reach(len(rows))
    names = rows[0].keys()
    return {key: np.array([rows[i][key] for i in range(subject.number)]) for key in names}


def standard_error(values: np.ndarray) -> np.ndarray | None:
    """Of the mean over the first axis; None of a single value."""
    n = len(values)
    return values.std(axis=0, ddof=1) / math.sqrt(n) if n > 1 else None


def _pairs(row: dict[str, Any]) -> list[tuple[int, dict[str, Any]]]:
    names = row.keys() - {"index"}
    return [
        (index, {name: row[name][at] for name in names}) for at, index in enumerate(row["index"])
    ]


def _compiled(subject: Subject, measure: Measure) -> Callable[..., dict[str, jax.Array]]:
    sharding = batch_sharding(subject.mesh)

    def of_batch(
        params: Arrays,
        constants: Arrays,
        space: Space,
        batch: dict[str, jax.Array],
        index: jax.Array,
    ) -> Any:
        batch, index = jax.lax.with_sharding_constraint((batch, index), sharding)
        keys = jax.vmap(jax.random.fold_in, (None, 0))(jax.random.key(subject.seed), index)
        return measure(subject.make(params, constants), space, keys, batch)

    return jax.jit(of_batch, out_shardings=replicated(subject.mesh))
