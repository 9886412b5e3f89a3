"""Numbers of each image of a data set, a batch at a time in a journal, so that a kill loses one."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from score_sde import files
from score_sde.evaluation.journal import Journal
from score_sde.evaluation.subject import Subject
from score_sde.models.functional import Arrays
from score_sde.prediction import Denoiser
from score_sde.training.sharding import batch_sharding, replicated, to_devices

# (denoise, keys, images, labels or None) -> numbers of each image by name, [batch, ...] each.
Measure = Callable[[Denoiser, jax.Array, jax.Array, jax.Array | None], dict[str, jax.Array]]


def of_images(
    subject: Subject, name: str, protocol: dict[str, Any], measure: Measure
) -> dict[str, np.ndarray]:
    """Measure every image once, or go on with a measurement that was interrupted.

    Args:
        subject: the model and the images.
        name: of what is measured.
        protocol: all that determines the numbers, as JSON values.
        measure: a function of the denoiser, of a random key for each image, [batch], of the uint8
            images, [batch, H, W, C], and of what the denoiser is conditioned on; it is compiled.

    Returns:
        Its numbers by name, float64, [number of images, ...].

    Raises:
        UserError: the run's folder cannot be written, or what is there from before is damaged.
    """
    journal = Journal(subject.folder, name, protocol)
    rows = {index: numbers for row in journal.rows() for index, numbers in _pairs(row)}
    # Every process has read the journal before the first one writes to it.
    multihost_utils.sync_global_devices("the journal was read")
    if rows:
        subject.say(f"{name}: {len(rows)} of {subject.number} images are there from before")
    missing = np.array([i for i in range(subject.number) if i not in rows], np.int32)
    compiled = _compiled(subject, measure)
    everywhere = replicated(subject.mesh)
    weights = jax.device_get((subject.run.params, subject.run.constants))
    params, constants = to_devices(everywhere, weights)
    size = -(-min(subject.batch_size, len(missing)) // subject.mesh.size) * subject.mesh.size
    for start in range(0, len(missing), max(size, 1)):
        indices = missing[start : start + size]
        # The last batch is filled up with copies of its last image, which are not counted.
        filled = indices[np.minimum(np.arange(size), len(indices) - 1)]
        batch = subject.source.gather(filled.astype(np.int64)) | {"index": filled}
        out = jax.device_get(compiled(params, constants, to_devices(everywhere, batch)))
        row = {"index": indices.tolist()}
        row |= {key: array[: len(indices)].tolist() for key, array in out.items()}
        if jax.process_index() == 0:
            with files.writing(subject.run.workdir):
                journal.append(row)
        rows |= dict(_pairs(row))
        subject.say(f"{name}: {len(rows)}/{subject.number} images")
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
    experiment, sharding = subject.run.experiment, batch_sharding(subject.mesh)

    def of_batch(params: Arrays, constants: Arrays, batch: dict[str, jax.Array]) -> Any:
        batch = jax.lax.with_sharding_constraint(batch, sharding)
        keys = jax.vmap(jax.random.fold_in, (None, 0))(jax.random.key(subject.seed), batch["index"])
        cond = batch["label"] if experiment.conditional else None
        return measure(experiment.denoiser(params, constants), keys, batch["image"], cond)

    return jax.jit(of_batch, out_shardings=replicated(subject.mesh))
