"""What can be chosen about evaluation. The section `evaluation` of a config is these classes."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator

from score_sde.checks import check_count, check_name, check_positive
from score_sde.evaluation.extractors import EXTRACTORS
from score_sde.likelihood import DIVERGENCES, PROBES
from score_sde.objectives.weightings import QUANTITIES
from score_sde.samplers.grids import GRIDS
from score_sde.spaces.dequantization import DEQUANTIZATIONS
from score_sde.training.options import OptionError


@dataclasses.dataclass(frozen=True)
class EvaluationOptions:
    """The section `evaluation` of a config, but for the sections of single metrics in it.

    Attributes:
        batch_size: examples a batch, over all devices; no number depends on it, except those of
            samples from a sampler that couples a batch.
        metrics: what to measure, names in the sections of evaluation.evaluate.SECTIONS.
        split: of the data set.
        num_images: evaluate the first so many; 0 for all.
        seed: of everything random in evaluation.
    """

    batch_size: int = 128
    metrics: tuple[str, ...] = ("bits_per_dim",)
    split: str = "test"
    num_images: int = 0
    seed: int = 0

    def __post_init__(self):
        for name, smallest in (("batch_size", 1), ("num_images", 0), ("seed", 0)):
            if getattr(self, name) < smallest:
                raise OptionError(
                    f"config.evaluation.{name}={getattr(self, name)} must be at least {smallest}"
                )


@dataclasses.dataclass(frozen=True)
class BitsOptions:
    """The section `evaluation.bits_per_dim` of a config: see evaluation.bits and likelihood.

    Attributes:
        dequantization: a name in evaluation.dequantization.DEQUANTIZATIONS, or "variational": see
            evaluation.variational.
        dequantization_steps: of the fit of variational noise.
        draws: K, the importance-weighted draws of one bound.
        repeats: bounds, each from draws of its own, whose mean is reported.
        divergence: "hutchinson" or "exact".
        probe: distribution of Hutchinson's probes, a name in likelihood.PROBES.
        probes: how many of them are averaged.
        rtol: relative tolerance of the solver.
        atol: absolute tolerance of the solver.
        t_min: where the ODE starts; the process's own if negative.
        max_steps: of the solver.
    """

    dequantization: str = "uniform"
    dequantization_steps: int = 1000
    draws: int = 1
    repeats: int = 1
    divergence: str = "hutchinson"
    probe: str = "rademacher"
    probes: int = 1
    rtol: float = 1e-5
    atol: float = 1e-5
    t_min: float = -1.0
    max_steps: int = 4096

    def __post_init__(self):
        with _section("bits_per_dim"):
            check_name("dequantization", self.dequantization, (*DEQUANTIZATIONS, "variational"))
            check_name("divergence", self.divergence, DIVERGENCES)
            check_name("probe", self.probe, PROBES)
            for name in ("dequantization_steps", "draws", "repeats", "probes", "max_steps"):
                check_count(name, getattr(self, name))
            for name in ("rtol", "atol"):
                check_positive(name, getattr(self, name))


# Ways to keep the samples that were judged.
KEEP = ("none", "npz", "png")


@dataclasses.dataclass(frozen=True)
class SampleOptions:
    """The section `evaluation.samples` of a config: see evaluation.quality.

    What fid, kid, inception_score and precision_recall judge is one set of samples, drawn as
    --mode=sample draws them: by the section `sampling`, its seed included.

    Attributes:
        num_samples: how many; published FIDs take 50,000, and fewer give a larger one.
        features: a name in evaluation.extractors.EXTRACTORS.
        weights: its weight file, if it has one; that in the cache if empty.
        check_hash: whether that must be the standard file.
        reference: file of statistics of real images, by the same extractor; if empty, those of the
            split "train", computed once and kept in the cache.
        frechet_groups: parts of the sample in the jackknife of FID's standard error.
        kid_subsets: subsets that KID is averaged over.
        kid_size: images in each; at most half as many as there are.
        splits: of the Inception Score.
        neighbours: of precision and recall.
        keep: whether to keep the images in evaluation/: "none"; "npz", in one file; "png", in a
            file each.
    """

    num_samples: int = 50_000
    features: str = "inception"
    weights: str = ""
    check_hash: bool = True
    reference: str = ""
    frechet_groups: int = 10
    kid_subsets: int = 100
    kid_size: int = 1000
    splits: int = 10
    neighbours: int = 3
    keep: str = "none"

    def __post_init__(self):
        with _section("samples"):
            check_name("features", self.features, EXTRACTORS)
            check_name("keep", self.keep, KEEP)
            for name in ("num_samples", "frechet_groups", "kid_size"):
                if getattr(self, name) < 2:
                    raise ValueError(f"{name}={getattr(self, name)} must be at least 2")
            for name in ("kid_subsets", "splits", "neighbours"):
                check_count(name, getattr(self, name))


# Noise levels of the reverse steps of a variational bound; see evaluation.variational_bound.
VARIANCES = ("small", "large")


@dataclasses.dataclass(frozen=True)
class BoundOptions:
    """The section `evaluation.variational_bound` of a config: see that module.

    Attributes:
        steps: N, noise levels of the chain.
        grid: where they lie in time, a name in samplers.GRIDS.
        variance: of the reverse steps: "small", that of q(x_s | x_t, x_0), or "large", that of
            q(x_t | x_s).
    """

    steps: int = 1000
    grid: str = "uniform"
    variance: str = "small"

    def __post_init__(self):
        with _section("variational_bound"):
            check_name("grid", self.grid, GRIDS)
            check_name("variance", self.variance, VARIANCES)
            if self.steps < 2:
                raise ValueError(f"steps={self.steps} must be at least 2")


@dataclasses.dataclass(frozen=True)
class CurveOptions:
    """The section `evaluation.loss_by_time` of a config: see evaluation.loss_by_time.

    Attributes:
        points: times at which the loss is measured.
        grid: where they lie, a name in samplers.GRIDS.
        repeats: draws of noise for each image and time.
        quantity: whose squared error, a name in losses.QUANTITIES.
    """

    points: int = 50
    grid: str = "uniform"
    repeats: int = 1
    quantity: str = "eps"

    def __post_init__(self):
        with _section("loss_by_time"):
            check_name("grid", self.grid, GRIDS)
            check_name("quantity", self.quantity, QUANTITIES)
            check_count("repeats", self.repeats)
            if self.points < 2:
                raise ValueError(f"points={self.points} must be at least 2")


@contextlib.contextmanager
def _section(name: str) -> Iterator[None]:
    """Say in which section of the config an option is wrong."""
    try:
        yield
    except ValueError as error:
        raise OptionError(f"config.evaluation.{name}: {error}") from error
