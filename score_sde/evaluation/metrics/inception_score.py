"""The Inception Score (Salimans et al. 2016, arXiv 1606.03498)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class InceptionScore(NamedTuple):
    """The score over splits.

    Attributes:
        mean: over splits, between 1 and the number of classes; larger is better.
        std: over splits, what papers state beside it.
        standard_error: of the mean.
    """

    mean: float
    std: float
    standard_error: float


def inception_score(logits: np.ndarray, splits: int = 10) -> InceptionScore:
    """exp of the mean of KL(p(y | x) || p(y)), p(y) the mean of p(y | x), in each split.

    Args:
        logits: [n, classes]; published scores take all 1008 of the network, as do we.
        splits: of successive images, about equal in size; the score is biased low by small ones.

    Raises:
        ValueError: there are fewer images than splits.
    """
    if len(logits) < splits:
        raise ValueError(f"{len(logits)} images cannot be divided into {splits} splits")
    scores = np.array([_score(part) for part in np.array_split(logits, splits)])
    std = scores.std()
    error = scores.std(ddof=1) / np.sqrt(splits) if splits > 1 else np.nan
    return InceptionScore(float(scores.mean()), float(std), float(error))


def _score(logits: np.ndarray) -> float:
    logits = np.asarray(logits, np.float64)
    logits = logits - logits.max(1, keepdims=True)
    log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    p = np.exp(log_p)
    marginal = p.mean(0)
    # The information between image and class: its entropy less the mean of theirs. 0 log 0 = 0.
    entropy = -np.sum(marginal * np.log(np.where(marginal > 0, marginal, 1)))
    return float(np.exp(entropy + (p * log_p).sum(1).mean()))
