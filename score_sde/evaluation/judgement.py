"""How good a model's samples are, by metrics that all judge one set of them.

real = reference.load("cifar10.npz")
entries = judged(subject, extractors.get("inception"), real, SampleOptions(), {"fid": FID()})
entries["fid"]["value"], entries["fid"]["standard_error"], entries["fid"]["protocol"]
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

import numpy as np
from jax.sharding import Mesh

from score_sde import sections, values
from score_sde.errors import UserError
from score_sde.evaluation import cache, extractors, likeness, reference, statistics
from score_sde.evaluation.extractors import EXTRACTORS, Extractor
from score_sde.evaluation.metric import Entries, SampleMetric
from score_sde.evaluation.reference import Reference
from score_sde.evaluation.samples import KEEP, Drawn, draw, protocol
from score_sde.evaluation.subject import Subject
from score_sde.training import memory
from score_sde.values import LARGEST, between, one_of


@dataclasses.dataclass(frozen=True)
class SampleOptions:
    """The section `evaluation.samples` of a config.

    What metrics of samples judge is one set, drawn as --mode=sample draws them: by the section
    `sampling`, its seed included.

    Attributes:
        num_samples: how many; published FIDs take 50,000, and fewer give a larger one.
        features: a name in evaluation.extractors.EXTRACTORS.
        weights: its weight file, if it has one; that in the cache if empty.
        check_hash: whether that must be the standard file.
        reference: file of statistics of real examples, by the same extractor; if empty, those of
            the split "train", computed once and kept in the cache.
        keep: whether to keep the samples in evaluation/: "none"; "npz", in one file; "files", in a
            file each.
    """

    num_samples: Annotated[int, between(2, LARGEST)] = 50_000
    features: Annotated[str, one_of(EXTRACTORS)] = "inception"
    weights: values.Path = ""
    check_hash: bool = True
    reference: values.Path = ""
    keep: Annotated[str, one_of(KEEP)] = "none"

    def __post_init__(self) -> None:
        sections.check(self)


def prepare(
    subject: Subject, options: SampleOptions, metrics: Mapping[str, SampleMetric]
) -> Callable[[], Entries]:
    """Look for all that is needed, before any sample is drawn.

    Args:
        subject: the model.
        options: the section `evaluation.samples`.
        metrics: what judges, by name.

    Returns:
        What measures, as `judged`.

    Raises:
        UserError: weights or statistics are missing, or do not go together; a metric needs more; or
            the features of so many samples do not fit into memory.
    """
    weights = Path(options.weights) if options.weights else None
    extractor = extractors.get(options.features, weights, options.check_hash)
    field = subject.source.info[subject.field]
    drawn = subject.space.decoded(field)
    if drawn != field and not options.reference:
        raise UserError(
            f"config.evaluation.samples.reference: samples are of {drawn.words}, and the data hold "
            f"{field.words}: make statistics of the images themselves by python -m "
            "score_sde.evaluation.statistics NAME --out=FILE.npz, and give that file"
        )
    features, logits = extractors.shapes(extractor, drawn)
    memory.check(
        f"config.evaluation.samples.num_samples={options.num_samples}",
        features.size * features.dtype.itemsize * options.num_samples,
        memory.of_host(),
        "draw fewer",
    )
    real = None
    if options.reference:
        real = _of_file(Path(options.reference), features.shape[1])
        real.check(extractors.protocol(extractor))
        real = likeness.marked(real, subject)
    # Statistics that are made here have features.
    known = statistics.KEPT if real is None else _known(real)
    _check(metrics, options.num_samples, logits is not None, known)

    def measure() -> Entries:
        against = real or _of_training(subject, extractor)
        return judged(subject, extractor, against, options, metrics)

    return measure


def _of_file(path: Path, width: int) -> Reference:
    found = reference.load(path, width)
    about = {"file": path.name, "file_sha256": cache.sha256(path)}
    return dataclasses.replace(found, protocol=found.protocol | about)


def _of_training(subject: Subject, extractor: Extractor) -> Reference:
    source = subject.training()
    subject.say(f"statistics of {len(source):,} {source.info.split} examples of {source.info.name}")
    return statistics.remembered(
        source, subject.field, extractor, subject.mesh, subject.batch_size, say=subject.say
    )


def judged(
    subject: Subject,
    extractor: Extractor,
    real: Reference,
    options: SampleOptions,
    metrics: Mapping[str, SampleMetric],
) -> Entries:
    """Draw samples of a model and let metrics judge them; goes on after a kill.

    Args:
        subject: the model, and where.
        extractor: from examples to features; see extractors.
        real: the real examples, by the same extractor.
        options: how samples are drawn; weights and reference in it are not used.
        metrics: what judges, by name.

    Returns:
        Entries of evaluation.json by name: "value", "standard_error", more of the metric, and under
        "protocol" all that determines it.

    Raises:
        UserError: the reference is of another extractor, a metric cannot be had, or the sampler
            gave up.
    """
    real.check(extractors.protocol(extractor))
    drawn = draw(subject, extractor, options.num_samples, options.keep)
    about = {
        "nfe": drawn.nfe,
        **({"kept": drawn.kept.name} if drawn.kept else {}),
        "protocol": {
            **protocol(subject, extractor, options.num_samples),
            "reference": {"n": real.n, **real.protocol},
        },
    }
    found = judge(drawn, real, metrics, subject.seed, subject.mesh)
    return {name: entry | about for name, entry in found.items()}


def judge(
    drawn: Drawn,
    real: Reference,
    metrics: Mapping[str, SampleMetric],
    seed: int = 0,
    mesh: Mesh | None = None,
) -> Entries:
    """What metrics find of samples, but for the protocol.

    Args:
        drawn: the samples.
        real: the real examples, by the same extractor.
        metrics: what judges, by name.
        seed: of everything random in them.
        mesh: the devices; all if None.

    Raises:
        UserError: the features are of another size or not finite, or a metric cannot be had.
    """
    _check_size(real, drawn.features.shape[1])
    if not np.isfinite(drawn.features).all():
        raise UserError("the extractor gave features that are not finite: look at the samples")
    _check(metrics, len(drawn.features), drawn.logits is not None, _known(real))
    results: Entries = {}
    for name, metric in metrics.items():
        try:
            results |= metric.judge(drawn, real, seed, mesh)
        except ValueError as error:
            raise UserError(f"{name}: {error}") from error
    return results


def _check_size(real: Reference, features: int) -> None:
    if real.mean.size != features:
        raise UserError(
            f"the reference statistics are of {real.mean.size} features an example, the samples "
            f"of {features}: take the same extractor for both"
        )


def _known(real: Reference) -> int:
    """Of how many real examples the features are known."""
    return 0 if real.features is None else len(real.features)


def _check(metrics: Mapping[str, SampleMetric], samples: int, logits: bool, known: int) -> None:
    """Raise UserError if a metric cannot be had.

    Args:
        metrics: by name.
        samples: how many.
        logits: whether the extractor gives logits.
        known: of how many real examples the features are known, not only their moments.
    """
    for name, metric in metrics.items():
        if metric.LOGITS and not logits:
            raise UserError(
                f"{name}: needs an extractor that gives logits: use "
                "config.evaluation.samples.features=inception"
            )
        if metric.FEATURES and known < metric.fewest:
            raise UserError(
                f"{name}: needs features of {metric.fewest} real examples, and the reference "
                f"statistics have {known or 'none'}: make others with python -m "
                "score_sde.evaluation.statistics"
            )
        if samples < metric.fewest:
            raise UserError(
                f"{name}: config.evaluation.samples.num_samples={samples} must be at least "
                f"{metric.fewest}"
            )
