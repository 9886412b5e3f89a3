"""A run's samples and their features, batch by batch on disk, so that a kill loses one batch.

Image i is drawn from its own key, so batches and devices do not matter, and a larger set of samples
begins with a smaller one; but where the sampler couples a batch, which the protocol then says.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.experimental import multihost_utils

from score_sde import files
from score_sde.evaluation import extractors
from score_sde.evaluation.extractors import Extractor
from score_sde.evaluation.options import SampleOptions
from score_sde.evaluation.parts import Parts
from score_sde.evaluation.subject import Subject, of_model
from score_sde.runs.generate import Generator, image_key
from score_sde.spaces.pictures import keep_images
from score_sde.training.sharding import replicated, to_devices


class Drawn(NamedTuple):
    """What is known of the samples.

    Attributes:
        features: [n, d].
        logits: [n, classes], or None.
        nfe: mean number of function evaluations of an image.
        kept: where the images are, or None.
    """

    features: np.ndarray
    logits: np.ndarray | None = None
    nfe: float | None = None
    kept: Path | None = None


def draw(subject: Subject, extractor: Extractor, options: SampleOptions) -> Drawn:
    """Draw samples of a run with its sampler, beyond those that are there from before.

    Args:
        subject: the model; its experiment's sampler draws.
        extractor: from uint8 images to features.
        options: how many, and whether the images are kept.

    Raises:
        UserError: the sampler gave up, or a file of an earlier evaluation is damaged.
    """
    number, keeping = options.num_samples, options.keep != "none"
    generator = Generator(subject.run.experiment, subject.mesh, min(subject.batch_size, number))
    determined = protocol(subject, extractor, options) | {"images_kept": keeping}
    if not subject.run.experiment.sampler.coupling:
        del determined["n"]
    parts = Parts(subject.folder, "samples", determined)
    done = sum(len(part["features"]) for part in _first(parts, number))
    # Every process has counted the parts before the first one writes another.
    multihost_utils.sync_global_devices("the samples were counted")
    if done:
        subject.say(f"{done} of {number} samples are there from before")
    begin = time.monotonic()
    for images, nfe in _images(subject, generator, number, done):
        (found,) = extractors.extract(extractor, [images], subject.mesh, generator.batch_size)
        part = {"features": found.features, "nfe": np.full(len(images), nfe)}
        part |= {} if found.logits is None else {"logits": found.logits}
        part |= {"images": images} if keeping else {}
        if jax.process_index() == 0:
            with files.writing(subject.run.workdir):
                parts.append(done, part)
        done += len(images)
        subject.say(f"{done}/{number} samples, {time.monotonic() - begin:.0f} s")
    multihost_utils.sync_global_devices("the samples are complete")
    with files.writing(subject.run.workdir):
        return _drawn(parts, number, _keep(parts, number, options.keep) if keeping else None)


def _images(
    subject: Subject, generator: Generator, number: int, first: int
) -> Iterator[tuple[np.ndarray, int]]:
    """Batches of images from the one numbered `first` on, with their function evaluations."""
    if first < number:
        run, everywhere = subject.run, replicated(subject.mesh)
        weights = to_devices(everywhere, jax.device_get((run.params, run.constants)))
        key = image_key(run.experiment.seed, subject.sampling_seed)
        yield from generator.batches(*weights, key, number, first=first)


def _first(parts: Parts, number: int) -> Iterator[dict[str, np.ndarray]]:
    """The arrays of the first so many samples."""
    for part in parts:
        if number <= 0:
            return
        yield {name: array[:number] for name, array in part.items()}
        number -= len(part["features"])


def _drawn(parts: Parts, number: int, kept: Path | None) -> Drawn:
    columns: dict[str, list[np.ndarray]] = {}
    for part in _first(parts, number):
        for name in part.keys() - {"images"}:
            columns.setdefault(name, []).append(part[name])
    whole = {name: np.concatenate(column) for name, column in columns.items()}
    return Drawn(whole["features"], whole.get("logits"), float(whole["nfe"].mean()), kept)


def _keep(parts: Parts, number: int, form: str) -> Path:
    """Put the images where people look for them: in one .npz file, or a folder of PNG files."""
    ending = ".npz" if form == "npz" else "-png"
    path = parts.folder.with_name(f"{parts.folder.name}-{number}{ending}")
    for _ in keep_images(path, (part["images"] for part in _first(parts, number))):
        pass
    return path


def protocol(subject: Subject, extractor: Extractor, options: SampleOptions) -> dict[str, Any]:
    """What determines the samples and their features, as JSON values."""
    run, size = subject.run, min(subject.batch_size, options.num_samples)
    sampler, experiment = run.experiment.sampler, run.experiment
    size = -(-size // subject.mesh.size) * subject.mesh.size  # as the generator rounds it
    return {
        "n": options.num_samples,
        "sampler": {"name": type(sampler).__name__, **dataclasses.asdict(sampler)},
        "sde": {"name": type(run.sde).__name__, **dataclasses.asdict(run.sde)},
        "coupling": f"{sampler.coupling}; batch_size {size}" if sampler.coupling else "none",
        "labels": "uniform" if experiment.conditional else "none",
        "seed": {"run": experiment.seed, "sampling": subject.sampling_seed},
        "rounding": f"uint8, {experiment.data.levels} levels",
        "data": {"name": experiment.data.name, "shape": list(experiment.data.shape)},
        **of_model(run),
        "extractor": extractors.protocol(extractor),
    }
