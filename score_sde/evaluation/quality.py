"""How good a run's samples are: FID, KID, Inception Score, precision and recall.

    net = extractors.get("inception")
    result = sample_quality(run, net, reference.load("cifar10.npz"), QualityOptions())
    result["fid"]["value"], result["fid"]["standard_error"], result["protocol"]

Image i is drawn from its own key, so batches and devices do not matter but where the sampler
couples a batch, which the protocol then says.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh

from score_sde.errors import UserError
from score_sde.evaluation import extractors
from score_sde.evaluation.frechet import Moments, frechet_distance, frechet_standard_error
from score_sde.evaluation.inception_score import inception_score
from score_sde.evaluation.kid import kernel_distance
from score_sde.evaluation.precision_recall import precision_recall
from score_sde.evaluation.reference import Reference
from score_sde.generate import Generator, image_key
from score_sde.images import keep_images
from score_sde.runs import Run
from score_sde.samplers.options import check_count, check_name
from score_sde.training.sharding import make_mesh, replicated, to_devices
from score_sde.version import __version__


@dataclasses.dataclass(frozen=True)
class QualityOptions:
    """How samples are drawn and judged.

    Attributes:
        num_samples: how many; published FIDs take 50,000, and fewer give a larger one.
        batch_size: images at a time, over all devices.
        seed: of the samples; another one gives an independent set of images.
        metrics: keys of METRICS; all that the extractor and the reference allow if empty.
        frechet_groups: parts of the sample in the jackknife of FID's standard error.
        kid_subsets: subsets that KID is averaged over.
        kid_size: images in each; at most half as many as there are.
        splits: of the Inception Score.
        neighbours: of precision and recall.
    """

    num_samples: int = 50_000
    batch_size: int = 128
    seed: int = 0
    metrics: tuple[str, ...] = ()
    frechet_groups: int = 10
    kid_subsets: int = 100
    kid_size: int = 1000
    splits: int = 10
    neighbours: int = 3

    def __post_init__(self):
        for name in ("batch_size", "kid_subsets", "splits", "neighbours"):
            check_count(name, getattr(self, name))
        if self.num_samples < 2 or self.frechet_groups < 2:
            raise ValueError("num_samples and frechet_groups must be at least 2")
        for name in self.metrics:
            check_name("metric", name, METRICS)


class Drawn(NamedTuple):
    """What is known of the samples.

    Attributes:
        features: [n, d].
        logits: [n, classes], or None.
    """

    features: np.ndarray
    logits: np.ndarray | None


def judge(
    drawn: Drawn, reference: Reference, options: QualityOptions, mesh: Mesh | None = None
) -> dict[str, Any]:
    """The metrics of samples, each {"value": ..., "standard_error": ..., ...}.

    Args:
        drawn: the samples.
        reference: the real images, by the same extractor.
        options: how they are judged; the metrics that it asks for.
        mesh: the devices; all if None.

    Returns:
        The metrics by name; and under "unavailable", why those are missing that were not asked
        for by name and cannot be had.

    Raises:
        UserError: the features are of another size or not finite, or a metric that was asked for
            by name cannot be had.
    """
    if reference.mean.shape != drawn.features.shape[1:]:
        raise UserError(
            f"the reference statistics are of {reference.mean.size} features an image, the samples "
            f"of {drawn.features.shape[1]}: take the same extractor for both"
        )
    if not np.isfinite(drawn.features).all():
        raise UserError("the extractor gave features that are not finite: look at the samples")
    results: dict[str, Any] = {}
    unavailable: dict[str, str] = {}
    for name in options.metrics or METRICS:
        try:
            results |= METRICS[name](drawn, reference, options, mesh)
        except (UserError, ValueError) as error:
            if options.metrics:
                raise UserError(f"{name}: {error}") from error
            unavailable[name] = str(error)
    return results | ({"unavailable": unavailable} if unavailable else {})


def _fid(drawn: Drawn, reference: Reference, options: QualityOptions, mesh: Mesh | None) -> dict:
    groups = [
        Moments.of(g) for g in np.array_split(drawn.features, options.frechet_groups) if len(g)
    ]
    if len(groups) < 2 or len(drawn.features) < 3:
        raise UserError("needs at least 3 samples")
    whole = functools.reduce(Moments.merge, groups)
    fitted = (reference.mean, reference.cov)
    return {
        "fid": {
            "value": frechet_distance(whole.mean, whole.covariance, *fitted),
            "standard_error": frechet_standard_error(groups, *fitted),
            "groups": len(groups),
        }
    }


def _kid(drawn: Drawn, reference: Reference, options: QualityOptions, mesh: Mesh | None) -> dict:
    real = _features(reference)
    size = min(options.kid_size, len(real) // 2, len(drawn.features) // 2)
    if size < 2:
        raise UserError("needs at least 4 samples and 4 real images")
    found = kernel_distance(
        drawn.features, real, subsets=options.kid_subsets, size=size, seed=options.seed
    )
    return {
        "kid": {
            "value": found.mean,
            "standard_error": found.standard_error,
            "std_over_subsets": found.std,
            "subsets": options.kid_subsets,
            "subset_size": found.size,
        }
    }


def _inception_score(
    drawn: Drawn, reference: Reference, options: QualityOptions, mesh: Mesh | None
) -> dict:
    if drawn.logits is None:
        raise UserError("needs an extractor that gives logits, such as inception")
    found = inception_score(drawn.logits, options.splits)
    return {
        "inception_score": {
            "value": found.mean,
            "standard_error": found.standard_error,
            "std_over_splits": found.std,
            "splits": options.splits,
            "classes": drawn.logits.shape[1],
        }
    }


def _precision_recall(
    drawn: Drawn, reference: Reference, options: QualityOptions, mesh: Mesh | None
) -> dict:
    real, k = _features(reference), options.neighbours
    n = min(len(real), len(drawn.features))  # as many of each, as the paper has it
    found = precision_recall(drawn.features[:n], _spread(real, n), neighbours=k, mesh=mesh)
    about = {"neighbours": k, "samples": n, "real": n}
    return {
        "precision": {
            "value": found.precision,
            "standard_error": found.precision_error,
            **about,
        },
        "recall": {"value": found.recall, "standard_error": found.recall_error, **about},
    }


METRICS: dict[str, Callable[..., dict[str, Any]]] = {
    "fid": _fid,
    "kid": _kid,
    "inception_score": _inception_score,
    "precision_recall": _precision_recall,
}


def _features(reference: Reference) -> np.ndarray:
    if reference.features is None:
        raise UserError("needs features of real images, which the reference statistics lack")
    return reference.features


def _spread(features: np.ndarray, n: int) -> np.ndarray:
    """n of the features, evenly spaced: sets are often sorted."""
    return features[np.linspace(0, len(features) - 1, n).astype(int)]


def sample_quality(
    run: Run,
    extractor: extractors.Extractor,
    reference: Reference,
    options: QualityOptions = QualityOptions(),
    *,
    weights: str = "ema",
    mesh: Mesh | None = None,
    keep: Path | None = None,
    on_batch: Callable[[int], None] = lambda done: None,
) -> dict[str, Any]:
    """Draw samples of a run with its sampler and judge them.

    Args:
        run: an open run; its experiment's sampler draws. Replace that for another:
            dataclasses.replace(run, experiment=dataclasses.replace(run.experiment, sampler=...)).
        extractor: from uint8 images to features; see extractors.
        reference: the real images, by the same extractor.
        options: how samples are drawn and judged.
        weights: which weights the run was opened with, for the record.
        mesh: the devices; all if None.
        keep: where to keep the samples: a file NAME.npz (uint8 NHWC, key "samples"), or a folder
            for PNG files; None to keep none.
        on_batch: called with the number of images done after each batch.

    Returns:
        What `judge` says, and under "protocol" all that determines it. JSON can hold it.

    Raises:
        UserError: the reference is of another extractor, a metric cannot be had, or the sampler
            gave up.
    """
    reference.check(extractors.protocol(extractor))
    mesh = make_mesh() if mesh is None else mesh
    nfes: list[int] = []
    images = keep_images(keep, _draw(run, options, mesh, nfes))
    found, done = [], 0
    for part in extractors.extract(extractor, images, mesh, options.batch_size):
        found.append(part)
        done += len(part.features)
        on_batch(done)
    features, logits = zip(*found, strict=True)
    drawn = Drawn(np.concatenate(features), None if logits[0] is None else np.concatenate(logits))
    return judge(drawn, reference, options, mesh) | {
        "protocol": {
            **_protocol(run, options),
            "weights": weights,
            "nfe": float(np.mean(nfes)),
            "extractor": extractors.protocol(extractor),
            "reference": {"n": reference.n, **reference.protocol},
        }
    }


def _draw(run: Run, options: QualityOptions, mesh: Mesh, nfes: list[int]) -> Iterator[np.ndarray]:
    """The images, in batches; the function evaluations of each batch are added to the list."""
    generator = Generator(run.experiment, mesh, min(options.batch_size, options.num_samples))
    arrays = to_devices(replicated(mesh), jax.device_get((run.params, run.constants)))
    key = image_key(run.experiment.seed, options.seed)
    for images, nfe in generator.batches(*arrays, key, options.num_samples):
        nfes.append(nfe)
        yield images


def _protocol(run: Run, options: QualityOptions) -> dict[str, Any]:
    """What determines the samples."""
    sampler = run.experiment.sampler
    coupling = sampler.coupling
    return {
        "n": options.num_samples,
        "sampler": {"name": type(sampler).__name__, **dataclasses.asdict(sampler)},
        "sde": repr(run.sde),
        "coupling": f"{coupling}; batch_size {options.batch_size}" if coupling else "none",
        "labels": "uniform" if run.experiment.conditional else "none",
        "seed": {"run": run.experiment.seed, "sampling": options.seed},
        "step": run.step,
        "rounding": f"uint8, {run.experiment.data.levels} levels",
        "score_sde": __version__,
    }
