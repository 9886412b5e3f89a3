"""The Fréchet distance between Gaussians fitted to two sets of features; FID for Inception's.

    |m - m'|^2 + tr(C + C' - 2 (C C')^(1/2))

of their means and covariances (Heusel et al. 2017, arXiv 1706.08500, equation 6).
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import Annotated

import numpy as np
from jax.sharding import Mesh

from score_sde import sections
from score_sde.evaluation.metric import Entries, SampleMetric, number
from score_sde.evaluation.moments import Moments
from score_sde.evaluation.reference import Reference
from score_sde.evaluation.samples import Drawn
from score_sde.values import between


@dataclasses.dataclass(frozen=True)
class FID(SampleMetric):
    """The distance of the samples from the real examples.

    Attributes:
        groups: parts of the sample in the jackknife of its standard error.
    """

    groups: Annotated[int, between(2, 10_000)] = 10

    def __post_init__(self) -> None:
        sections.check(self)

    @property
    def fewest(self) -> int:
        """Half of 4, which the jackknife may leave, still has a covariance."""
        return 4

    def judge(self, drawn: Drawn, real: Reference, seed: int, mesh: Mesh | None) -> Entries:
        """The entry "fid"; see SampleMetric."""
        parts = np.array_split(drawn.features, self.groups)
        groups = [Moments.of(part) for part in parts if len(part)]
        whole = functools.reduce(Moments.merge, groups)
        fitted = (real.mean, real.cov)
        value = frechet_distance(whole.mean, whole.covariance, *fitted)
        error = frechet_standard_error(groups, *fitted)
        return {"fid": {**number(value, error), "groups": len(groups)}}


def frechet_distance(
    mean_1: np.ndarray, cov_1: np.ndarray, mean_2: np.ndarray, cov_2: np.ndarray
) -> float:
    """|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)), the squared 2-Wasserstein distance.

    Dowson and Landau 1982; Heusel et al. 2017 (arXiv 1706.08500). With C = F F^T from eigenvalues,
    the trace of the root is the sum of the singular values of F1^T F2. So no product of
    covariances is formed, whose rounding the root would magnify: singular covariances do no harm.

    Args:
        mean_1: [d].
        cov_1: [d, d].
        mean_2: [d].
        cov_2: [d, d].
    """
    overlap = np.linalg.svd(_factor(cov_1).T @ _factor(cov_2), compute_uv=False).sum()
    return float(np.sum((mean_1 - mean_2) ** 2) + np.trace(cov_1) + np.trace(cov_2) - 2 * overlap)


def frechet_standard_error(groups: Sequence[Moments], mean: np.ndarray, cov: np.ndarray) -> float:
    """Standard error of the distance of a sample from fixed moments, by the grouped jackknife.

    sqrt((g - 1) / g sum_i (d_i - mean d)^2), with d_i the distance without group i (Efron and
    Tibshirani 1993, equation 11.5). It says nothing of the distance's bias, which falls as 1 / n.

    Args:
        groups: of the sample, of about equal size, at least 2.
        mean: of the reference, [d].
        cov: of the reference, [d, d].
    """
    factor, distances = _factor(cov), []
    for left_out in range(len(groups)):
        rest = functools.reduce(Moments.merge, (*groups[:left_out], *groups[left_out + 1 :]))
        # A third of the time of the distance itself, and less exact, which does not matter here.
        squares = np.linalg.eigvalsh(factor.T @ rest.covariance @ factor)
        overlap = np.sqrt(np.maximum(squares, 0)).sum()
        distances.append(
            np.sum((rest.mean - mean) ** 2) + np.trace(rest.covariance) - 2 * overlap
        )  # but for the trace of cov, the same in all
    return float(np.sqrt((len(groups) - 1) * np.var(distances)))


def _factor(cov: np.ndarray) -> np.ndarray:
    """F with F F^T = cov; eigenvalues below 0 are rounding."""
    values, vectors = np.linalg.eigh(np.asarray(cov, np.float64))
    return vectors * np.sqrt(np.maximum(values, 0))
