"""How good a run's samples are: FID, KID, Inception Score, precision and recall.

net = extractors.get("inception")
entries = sample_quality(subject, net, reference.load("cifar10.npz"), SampleOptions(), ["fid"])
entries["fid"]["value"], entries["fid"]["standard_error"], entries["fid"]["protocol"]
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from score_sde.errors import UserError
from score_sde.evaluation import cache, extractors, reference, statistics
from score_sde.evaluation.metrics.frechet import Moments, frechet_distance, frechet_standard_error
from score_sde.evaluation.metrics.inception_score import inception_score
from score_sde.evaluation.metrics.kid import kernel_distance
from score_sde.evaluation.metrics.precision_recall import precision_recall
from score_sde.evaluation.options import SampleOptions
from score_sde.evaluation.reference import Reference
from score_sde.evaluation.samples import Drawn, draw, protocol
from score_sde.evaluation.subject import Subject


def prepare(
    subject: Subject, options: SampleOptions, names: Sequence[str]
) -> Callable[[], dict[str, Any]]:
    """Look for all that is needed, before any sample is drawn.

    Args:
        subject: the model.
        options: the section `evaluation.samples`.
        names: of METRICS.

    Returns:
        What measures, as `sample_quality`.

    Raises:
        UserError: weights or statistics are missing, or do not go together; or a metric needs more.
    """
    weights = Path(options.weights) if options.weights else None
    extractor = extractors.get(options.features, weights, options.check_hash)
    image = jax.ShapeDtypeStruct((1, *subject.run.experiment.data.shape), np.uint8)
    output = jax.eval_shape(extractor, image)
    features, logits = output if isinstance(output, tuple) else (output, None)
    real = _of_file(Path(options.reference)) if options.reference else None
    if real is not None:
        real.check(extractors.protocol(extractor))
        _check_size(real, features.shape[1])
    # Statistics that are made here have features.
    _check(names, options, logits is not None, statistics.KEPT if real is None else _known(real))

    def measure() -> dict[str, Any]:
        against = real or _of_training(subject, extractor)
        return sample_quality(subject, extractor, against, options, names)

    return measure


def _of_file(path: Path) -> Reference:
    found = reference.load(path)
    about = {"file": path.name, "file_sha256": cache.sha256(path)}
    return dataclasses.replace(found, protocol=found.protocol | about)


def _of_training(subject: Subject, extractor: extractors.Extractor) -> Reference:
    source = subject.training()
    subject.say(f"statistics of {len(source):,} {source.info.split} images of {source.info.name}")
    size = subject.batch_size
    return statistics.remembered(source, extractor, subject.mesh, size, say=subject.say)


def sample_quality(
    subject: Subject,
    extractor: extractors.Extractor,
    real: Reference,
    options: SampleOptions,
    names: Sequence[str],
) -> dict[str, Any]:
    """Draw samples of a run with its sampler and judge them; goes on after a kill.

    Args:
        subject: the model, whose experiment's sampler draws, and where.
        extractor: from uint8 images to features; see extractors.
        real: the real images, by the same extractor.
        options: how samples are drawn and judged; weights and reference in it are not used.
        names: of METRICS.

    Returns:
        Entries of evaluation.json by name: "value", "standard_error", more of the metric, and under
        "protocol" all that determines it.

    Raises:
        UserError: the reference is of another extractor, a metric cannot be had, or the sampler
            gave up.
    """
    real.check(extractors.protocol(extractor))
    drawn = draw(subject, extractor, options)
    about = {
        "nfe": drawn.nfe,
        **({"images": drawn.kept.name} if drawn.kept else {}),
        "protocol": {
            **protocol(subject, extractor, options),
            "reference": {"n": real.n, **real.protocol},
        },
    }
    found = judge(drawn, real, options, names, subject.seed, subject.mesh)
    return {name: entry | about for name, entry in found.items()}


def judge(
    drawn: Drawn,
    real: Reference,
    options: SampleOptions,
    names: Sequence[str],
    seed: int = 0,
    mesh: Mesh | None = None,
) -> dict[str, Any]:
    """The metrics of samples, each {"value": ..., "standard_error": ..., ...}.

    Args:
        drawn: the samples.
        real: the real images, by the same extractor.
        options: how they are judged.
        names: of METRICS.
        seed: of KID's choice of subsets.
        mesh: the devices; all if None.

    Raises:
        UserError: the features are of another size or not finite, or a metric cannot be had.
    """
    _check_size(real, drawn.features.shape[1])
    if not np.isfinite(drawn.features).all():
        raise UserError("the extractor gave features that are not finite: look at the samples")
    _check(names, options, drawn.logits is not None, _known(real))
    results: dict[str, Any] = {}
    for name in names:
        try:
            results |= METRICS[name](drawn, real, options, seed, mesh)
        except ValueError as error:
            raise UserError(f"{name}: {error}") from error
    return results


def _check_size(real: Reference, features: int) -> None:
    if real.mean.size != features:
        raise UserError(
            f"the reference statistics are of {real.mean.size} features an image, the samples "
            f"of {features}: take the same extractor for both"
        )


def _known(real: Reference) -> int:
    """Of how many real images the features are known."""
    return 0 if real.features is None else len(real.features)


def _check(names: Sequence[str], options: SampleOptions, logits: bool, known: int) -> None:
    """Raise UserError if a metric cannot be had.

    Args:
        names: of the metrics.
        options: how they are had.
        logits: whether the extractor gives logits.
        known: of how many real images the features are known, not only their moments.
    """
    n = options.num_samples
    # Half of the samples, which the jackknife of FID may leave, have a covariance from 4 on.
    smallest = {"fid": 4, "kid": 4, "inception_score": options.splits}
    smallest["precision_recall"] = options.neighbours + 1
    for name in names:
        if name == "inception_score" and not logits:
            raise UserError(
                f"{name}: needs an extractor that gives logits: use "
                "config.evaluation.samples.features=inception"
            )
        if name in ("kid", "precision_recall") and known < smallest[name]:
            raise UserError(
                f"{name}: needs features of {smallest[name]} real images, and the reference "
                f"statistics have {known or 'none'}: make others with python -m "
                "score_sde.evaluation.statistics"
            )
        if n < smallest[name]:
            raise UserError(
                f"{name}: config.evaluation.samples.num_samples={n} must be at least "
                f"{smallest[name]}"
            )


def _fid(drawn: Drawn, real: Reference, options: SampleOptions, seed: int, mesh: Any) -> Any:
    groups = [
        Moments.of(g) for g in np.array_split(drawn.features, options.frechet_groups) if len(g)
    ]
    whole = functools.reduce(Moments.merge, groups)
    fitted = (real.mean, real.cov)
    value = frechet_distance(whole.mean, whole.covariance, *fitted)
    error = frechet_standard_error(groups, *fitted)
    return {"fid": {**_number(value, error), "groups": len(groups)}}


def _kid(drawn: Drawn, real: Reference, options: SampleOptions, seed: int, mesh: Any) -> Any:
    size = min(options.kid_size, len(real.features) // 2, len(drawn.features) // 2)
    found = kernel_distance(
        drawn.features, real.features, subsets=options.kid_subsets, size=size, seed=seed
    )
    return {
        "kid": {
            **_number(found.mean, found.standard_error),
            "std_over_subsets": _finite(found.std),
            "subsets": options.kid_subsets,
            "subset_size": found.size,
            "subset_seed": seed,
        }
    }


def _inception_score(
    drawn: Drawn, real: Reference, options: SampleOptions, seed: int, mesh: Any
) -> Any:
    found = inception_score(drawn.logits, options.splits)
    return {
        "inception_score": {
            **_number(found.mean, found.standard_error),
            "std_over_splits": found.std,
            "splits": options.splits,
            "classes": drawn.logits.shape[1],
        }
    }


def _precision_recall(
    drawn: Drawn, real: Reference, options: SampleOptions, seed: int, mesh: Mesh | None
) -> Any:
    n = min(len(real.features), len(drawn.features))  # as many of each, as the paper has it
    found = precision_recall(
        drawn.features[:n], _spread(real.features, n), neighbours=options.neighbours, mesh=mesh
    )
    about = {"neighbours": options.neighbours, "samples": n, "real": n}
    return {
        "precision": {**_number(found.precision, found.precision_error), **about},
        "recall": {**_number(found.recall, found.recall_error), **about},
    }


METRICS: dict[str, Callable[..., dict[str, Any]]] = {
    "fid": _fid,
    "kid": _kid,
    "inception_score": _inception_score,
    "precision_recall": _precision_recall,
}


def _number(value: float, error: float) -> dict[str, float | None]:
    return {"value": value, "standard_error": _finite(error)}


def _finite(number: float) -> float | None:
    """JSON has no word for a number that is not known."""
    return number if math.isfinite(number) else None


def _spread(features: np.ndarray, n: int) -> np.ndarray:
    """n of the features, evenly spaced: sets are often sorted."""
    return features[np.linspace(0, len(features) - 1, n).astype(int)]
