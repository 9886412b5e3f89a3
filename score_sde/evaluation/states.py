"""What the states of a data set are like: moments and the largest distance, of a stream of them.

Nothing but sums and a subsample is kept, whatever the number of examples. Sums are those of
deviations from a mean, in float64, and two sets of them add up to that of both (Chan, Golub and
LeVeque 1983), so that nothing cancels.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from score_sde.evaluation.moments import Moments

COMPARED = 2000  # examples whose distances are measured, at most
_NUMBERS = 2**25  # that are kept of them, at most: 256 MB
_ROWS = 256  # whose distances are computed at a time


@dataclasses.dataclass(frozen=True)
class States:
    """What was measured.

    Attributes:
        shape: of a state.
        examples: how many were looked at.
        mean: of all numbers of all states.
        std: their root mean square about that mean: sigma_data of Karras et al. 2022 (arXiv
            2206.00364).
        std_error: its standard error over examples, as a sample of `population`; 0 if that is all
            of them, NaN of one example.
        channel_means: of the numbers of each channel, the last axis, [channels].
        channel_stds: root mean square of the numbers of each channel about its mean, [channels].
        spread: root mean square of the numbers about the mean state, each about its own mean: the
            error of an answer that knows no more than that.
        distance: the largest Euclidean distance between two of `compared` states: of all, the
            largest is at least this.
        compared: how many.
    """

    shape: tuple[int, ...]
    examples: int
    mean: float
    std: float
    std_error: float
    channel_means: np.ndarray
    channel_stds: np.ndarray
    spread: float
    distance: float
    compared: int

    @property
    def dimension(self) -> int:
        """Numbers of a state."""
        return math.prod(self.shape)

    @property
    def square(self) -> float:
        """The mean of |x|^2."""
        return self.dimension * (self.std**2 + self.mean**2)


def measure(
    batches: Iterable[np.ndarray], examples: int, population: int, compared: int = COMPARED
) -> States:
    """Measure a stream of states.

    Args:
        batches: of states, [batch, *shape], in an order that has nothing to do with distances.
        examples: how many states there will be.
        population: of how many they are a sample.
        compared: of how many the distances are measured, at most: every k-th of the stream, fewer
            if they are large.

    Raises:
        ValueError: there are no states, or some are not finite.
    """
    elements, energies, shift, kept, seen, shape = None, None, 0.0, [], 0, ()
    for batch in batches:
        x = np.asarray(batch, np.float64)
        if not np.isfinite(x).all():
            raise ValueError("there are values that are not finite")
        if elements is None:
            shape, shift = x.shape[1:], float(x.mean())
            most = max(2, min(compared, _NUMBERS // max(math.prod(shape), 1)))
            every = -(-examples // most)
        part, energy = _Elements.of(x), Moments.of(_mean_and_square(x - shift))
        elements = part if elements is None else elements.merge(part)
        energies = energy if energies is None else energies.merge(energy)
        kept.append(x[-seen % every :: every].reshape(-1, math.prod(shape)))
        seen += len(x)
    if elements is None:
        raise ValueError("there are no examples")
    chosen = np.concatenate(kept)
    mean, variance = (float(of[0]) for of in elements.pooled(1))
    means, variances = elements.pooled(shape[-1])
    return States(
        shape=shape,
        examples=seen,
        mean=mean,
        std=math.sqrt(variance),
        std_error=_error_of_std(energies, mean - shift, variance, population),
        channel_means=means,
        channel_stds=np.sqrt(variances),
        spread=math.sqrt(elements.scatter.mean() / elements.n),
        distance=largest_distance(chosen),
        compared=len(chosen),
    )


def largest_distance(x: np.ndarray) -> float:
    """The largest Euclidean distance between two of the rows of x, [n, d], n > 0.

    |x|^2 + |y|^2 - 2 x.y finds the pair, about the mean of all; its distance is that of its
    difference.
    """
    x = np.asarray(x, np.float64)
    x = x - x.mean(0)
    squares, best, pair = (x**2).sum(1), -1.0, (0, 0)
    for start in range(0, len(x), _ROWS):
        rows = x[start : start + _ROWS]
        others = squares[start:] - 2 * rows @ x[start:].T + squares[start : start + _ROWS, None]
        i, j = np.unravel_index(int(others.argmax()), others.shape)
        if others[i, j] > best:
            best, pair = float(others[i, j]), (start + int(i), start + int(j))
    return float(np.linalg.norm(x[pair[0]] - x[pair[1]]))


class _Elements(NamedTuple):
    """Of each element of a state, [d]: its mean over n states, and the sum of squares about it."""

    n: int
    mean: np.ndarray
    scatter: np.ndarray

    @classmethod
    def of(cls, x: np.ndarray) -> _Elements:
        x = x.reshape(len(x), -1)
        mean = x.mean(0)
        return cls(len(x), mean, ((x - mean) ** 2).sum(0))

    def merge(self, other: _Elements) -> _Elements:
        n, shift = self.n + other.n, other.mean - self.mean
        return _Elements(
            n,
            self.mean + shift * (other.n / n),
            self.scatter + other.scatter + shift**2 * (self.n * other.n / n),
        )

    def pooled(self, channels: int) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance of the numbers of each channel together, [channels]."""
        means, scatters = (a.reshape(-1, channels) for a in (self.mean, self.scatter))
        mean = means.mean(0)
        return mean, scatters.mean(0) / self.n + ((means - mean) ** 2).mean(0)


def _mean_and_square(x: np.ndarray) -> np.ndarray:
    """Of each example the mean of its numbers and that of their squares, [batch, 2]."""
    x = x.reshape(len(x), -1)
    return np.stack([x.mean(1), (x**2).mean(1)], 1)


def _error_of_std(energies: Moments, mean: float, variance: float, population: int) -> float:
    """The standard error of the standard deviation, by that of the variance over examples.

    An example adds q - 2 m a + m^2 to the variance, of its mean square q and its mean a; a sample
    without replacement knows its own part of the population.
    """
    if energies.n >= population or not variance:
        return 0.0
    if energies.n < 2:
        return math.nan
    weights = np.array([-2 * mean, 1.0])
    of_example = float(weights @ energies.covariance @ weights)
    error = math.sqrt(of_example / energies.n * (1 - energies.n / population))
    return error / (2 * math.sqrt(variance))
