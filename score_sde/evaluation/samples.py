"""A model's samples and their features, batch by batch on disk, so that a kill loses one batch.

Sample i is drawn from its own key, so batches and devices do not matter, and a larger set of
samples begins with a smaller one; but where the sampler couples a batch, which the protocol then
says.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.experimental import multihost_utils

from score_sde import files
from score_sde.evaluation import extractors
from score_sde.evaluation.extractors import Extractor
from score_sde.evaluation.parts import Parts
from score_sde.evaluation.subject import Subject
from score_sde.fields import ABOUT
from score_sde.spaces import Space

# Ways to keep the samples that were judged.
KEEP = ("none", "npz", "files")


class Drawn(NamedTuple):
    """What is known of the samples.

    Attributes:
        features: [n, d].
        logits: [n, classes], or None.
        nfe: mean number of function evaluations of a sample.
        kept: where the samples are, or None.
    """

    features: np.ndarray
    logits: np.ndarray | None = None
    nfe: float | None = None
    kept: Path | None = None


def draw(subject: Subject, extractor: Extractor, number: int, keep: str = "none") -> Drawn:
    """Draw samples of a model, beyond those that are there from before.

    Args:
        subject: the model.
        extractor: from examples to features.
        number: how many.
        keep: whether to keep the samples in evaluation/, one of KEEP: "npz", as "samples" of one
            file; "files", each in one of its own, as the space saves them. What they are is in
            that file as "about", or in NAME.json beside the folder.

    Raises:
        UserError: the sampler gave up, or the run's folder cannot be written.
    """
    keeping, size = keep != "none", min(subject.batch_size, number)
    determined = protocol(subject, extractor, number) | {"samples_kept": keeping}
    if not subject.coupling:
        del determined["n"]
    parts = Parts(subject.folder, "samples", determined, subject.say)
    done = sum(len(part["features"]) for part in _first(parts, number))
    # Every process has counted the parts before the first one writes another.
    multihost_utils.sync_global_devices("the samples were counted")
    if done:
        subject.say(f"{done} of {number} samples are there from before")
    if done < number:
        _add(subject, extractor, parts, done, number, size, keeping)
    multihost_utils.sync_global_devices("the samples are complete")
    drawn = _drawn(parts, number)
    if not keeping:
        return drawn
    about = protocol(subject, extractor, number) | {"nfe": drawn.nfe}
    with files.writing(subject.workdir):
        return drawn._replace(kept=_keep(parts, number, keep, subject.space, about))


def _add(
    subject: Subject,
    extractor: Extractor,
    parts: Parts,
    done: int,
    number: int,
    size: int,
    keeping: bool,
) -> None:
    """Draw the samples that are missing, and put them on the disk."""
    with subject.count(number, "samples", done) as count:
        for samples, nfe in subject.draw(size, number, done, count.reach):
            (found,) = extractors.extract(extractor, [samples], subject.mesh, size)
            part = {"features": found.features, "nfe": np.full(len(samples), nfe)}
            part |= {} if found.logits is None else {"logits": found.logits}
            part |= {"samples": samples} if keeping else {}
            if jax.process_index() == 0:
                with files.writing(subject.workdir):
                    parts.append(done, part)
            done += len(samples)
            count.reach(done)


def _first(parts: Parts, number: int) -> Iterator[dict[str, np.ndarray]]:
    """The arrays of the first so many samples."""
    for part in parts:
        if number <= 0:
            return
        yield {name: array[:number] for name, array in part.items()}
        number -= len(part["features"])


def _drawn(parts: Parts, number: int) -> Drawn:
    columns: dict[str, list[np.ndarray]] = {}
    for part in _first(parts, number):
        for name in part.keys() - {"samples"}:
            columns.setdefault(name, []).append(part[name])
    whole = {name: np.concatenate(column) for name, column in columns.items()}
    return Drawn(whole["features"], whole.get("logits"), float(whole["nfe"].mean()))


def _keep(parts: Parts, number: int, keep: str, space: Space, about: Mapping[str, Any]) -> Path:
    """Put the samples, and what they are, where people look for them; the first process does."""
    ending = ".npz" if keep == "npz" else "-files"
    path = parts.folder.with_name(f"{parts.folder.name}-{number}{ending}")
    if jax.process_index() > 0:
        return path
    batches = (part["samples"] for part in _first(parts, number))
    if keep == "npz":
        samples = {"samples": np.concatenate(list(batches))}
        files.write_npz(path, {**samples, ABOUT: np.array(json.dumps(about))})
        return path
    files.write_json(path.with_name(f"{path.name}.json"), dict(about))
    start = 0
    for batch in batches:
        space.save(path, [f"{n:06d}" for n in range(start, start + len(batch))], batch)
        start += len(batch)
    return path


def protocol(subject: Subject, extractor: Extractor, number: int) -> dict[str, Any]:
    """What determines the samples and their features, as JSON values."""
    size = min(subject.batch_size, number)
    size = -(-size // subject.mesh.size) * subject.mesh.size  # as the generator rounds it
    info = subject.source.info
    return {
        "n": number,
        **subject.sampling,
        "coupling": f"{subject.coupling}; batch_size {size}" if subject.coupling else "none",
        **subject.data_protocol(),
        "data": {
            "name": info.name,
            "field": subject.field,
            "shape": list(info[subject.field].shape),
        },
        **subject.identity,
        "extractor": extractors.protocol(extractor),
    }
