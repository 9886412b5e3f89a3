"""The Inception Score (Salimans et al. 2016, arXiv 1606.03498)."""

from __future__ import annotations

import dataclasses
from typing import Annotated, ClassVar, NamedTuple

import numpy as np
from jax.sharding import Mesh

from score_sde import sections
from score_sde.evaluation.metric import Entries, SampleMetric, number
from score_sde.evaluation.reference import Reference
from score_sde.evaluation.samples import Drawn
from score_sde.values import between


@dataclasses.dataclass(frozen=True)
class InceptionScore(SampleMetric):
    """The score of the samples.

    Attributes:
        splits: parts of the sample, of each of which it is the score.
    """

    LOGITS: ClassVar[bool] = True

    splits: Annotated[int, between(1, 10_000)] = 10

    def __post_init__(self) -> None:
        sections.check(self)

    @property
    def fewest(self) -> int:
        """One in each split."""
        return self.splits

    def judge(self, drawn: Drawn, real: Reference, seed: int, mesh: Mesh | None) -> Entries:
        """The entry "inception_score"; see SampleMetric."""
        found = inception_score(drawn.logits, self.splits)
        return {
            "inception_score": {
                **number(found.mean, found.standard_error),
                "std_over_splits": found.std,
                "splits": self.splits,
                "classes": drawn.logits.shape[1],
            }
        }


class Score(NamedTuple):
    """The score over splits.

    Attributes:
        mean: over splits, between 1 and the number of classes; larger is better.
        std: over splits, what papers state beside it.
        standard_error: of the mean.
    """

    mean: float
    std: float
    standard_error: float


def inception_score(logits: np.ndarray, splits: int = 10) -> Score:
    """exp of the mean of KL(p(y | x) || p(y)), p(y) the mean of p(y | x), in each split.

    Args:
        logits: [n, classes]; published scores take all 1008 of the network, as do we.
        splits: of successive samples, about equal in size; the score is biased low by small ones.

    Raises:
        ValueError: there are fewer samples than splits.
    """
    if len(logits) < splits:
        raise ValueError(f"{len(logits)} samples cannot be divided into {splits} splits")
    scores = np.array([_score(part) for part in np.array_split(logits, splits)])
    std = scores.std()
    error = scores.std(ddof=1) / np.sqrt(splits) if splits > 1 else np.nan
    return Score(float(scores.mean()), float(std), float(error))


def _score(logits: np.ndarray) -> float:
    logits = np.asarray(logits, np.float64)
    logits = logits - logits.max(1, keepdims=True)
    log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    p = np.exp(log_p)
    marginal = p.mean(0)
    # The information between sample and class: its entropy less the mean of theirs. 0 log 0 = 0.
    entropy = -np.sum(marginal * np.log(np.where(marginal > 0, marginal, 1)))
    return float(np.exp(entropy + (p * log_p).sum(1).mean()))
