"""Improved precision and recall (Kynkäänniemi et al. 2019, arXiv 1904.06991).

A set of features stands for the union of balls around them, each as large as the distance to the
k-th nearest other feature of the set (equation 1). Precision is the share of samples within the
balls of the real examples, recall that of real examples within the balls of the samples (2, 3).
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator
from typing import Annotated, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh

from score_sde import sections
from score_sde.evaluation.metric import Entries, SampleMetric, number
from score_sde.evaluation.reference import Reference
from score_sde.evaluation.samples import Drawn
from score_sde.training.sharding import make_mesh, replicated, shared_batch, to_devices
from score_sde.values import between


@dataclasses.dataclass(frozen=True)
class PrecisionRecall(SampleMetric):
    """Both, of the samples and as many real examples, or of as many as there are of either.

    Attributes:
        neighbours: k.
    """

    FEATURES: ClassVar[bool] = True

    neighbours: Annotated[int, between(1, 10_000)] = 3

    def __post_init__(self) -> None:
        sections.check(self)

    @property
    def fewest(self) -> int:
        """One with k others."""
        return self.neighbours + 1

    def judge(self, drawn: Drawn, real: Reference, seed: int, mesh: Mesh | None) -> Entries:
        """The entries "precision" and "recall"; see SampleMetric."""
        n = min(len(real.features), len(drawn.features))  # as many of each, as the paper has it
        # Evenly spaced: sets are often sorted.
        spread = real.features[np.linspace(0, len(real.features) - 1, n).astype(int)]
        found = precision_recall(drawn.features[:n], spread, neighbours=self.neighbours, mesh=mesh)
        about = {"neighbours": self.neighbours, "samples": n, "real": n}
        return {
            "precision": {**number(found.precision, found.precision_error), **about},
            "recall": {**number(found.recall, found.recall_error), **about},
        }


class Shares(NamedTuple):
    """Shares, and their binomial standard errors for the draw of the points that are counted.

    Attributes:
        precision: share of samples that look real.
        recall: share of real examples that could have been samples.
        precision_error: standard error.
        recall_error: standard error.
    """

    precision: float
    recall: float
    precision_error: float
    recall_error: float


def precision_recall(
    samples: np.ndarray,
    real: np.ndarray,
    *,
    neighbours: int = 3,
    block: int = 1024,
    mesh: Mesh | None = None,
) -> Shares:
    """Precision and recall of samples.

    All distances are computed, a block of rows at a time, in the dtype of the features.

    Args:
        samples: features, [n, d].
        real: features of real examples, [m, d]; the paper takes as many as samples.
        neighbours: k.
        block: rows at a time, over all devices.
        mesh: the devices; all if None.

    Raises:
        ValueError: a set has not more than k features.
    """
    if min(len(samples), len(real)) <= neighbours:
        raise ValueError(
            f"{len(samples)} samples and {len(real)} real examples are too few for "
            f"{neighbours} neighbours"
        )
    mesh = make_mesh() if mesh is None else mesh
    centre = np.asarray(real, np.float64).mean(0)  # about which distances round least
    samples, real = ((a - centre).astype(a.dtype) for a in (samples, real))

    def share(points: np.ndarray, centres: np.ndarray) -> float:
        radii = np.concatenate(list(_radii(centres, neighbours, block, mesh)))
        return float(np.concatenate(list(_covered(points, centres, radii, block, mesh))).mean())

    precision, recall = share(samples, real), share(real, samples)
    return Shares(
        precision, recall, _binomial(precision, len(samples)), _binomial(recall, len(real))
    )


def _binomial(share: float, n: int) -> float:
    return float(np.sqrt(share * (1 - share) / n))


def _radii(x: np.ndarray, k: int, block: int, mesh: Mesh) -> Iterator[np.ndarray]:
    """Squared distances to the k-th nearest other point."""
    everything = to_devices(replicated(mesh), x)
    for rows, size in _blocks(x, block, mesh):
        yield _host(_nearest(rows, everything, k))[:size]


def _covered(
    points: np.ndarray, centres: np.ndarray, radii: np.ndarray, block: int, mesh: Mesh
) -> Iterator[np.ndarray]:
    """Whether points are within any ball."""
    balls = to_devices(replicated(mesh), (centres, radii))
    for rows, size in _blocks(points, block, mesh):
        yield _host(_within(rows, *balls))[:size]


def _blocks(x: np.ndarray, block: int, mesh: Mesh) -> Iterator[tuple[jax.Array, int]]:
    """Rows over the devices, always equally many, and how many of them are new."""
    block = -(-min(block, len(x)) // mesh.size) * mesh.size
    for start in range(0, len(x), block):
        rows = np.minimum(np.arange(start, start + block), len(x) - 1)
        yield shared_batch(mesh, x[rows]), min(block, len(x) - start)


def _host(x: jax.Array) -> np.ndarray:
    return multihost_utils.process_allgather(x, tiled=True)


@functools.partial(jax.jit, static_argnums=2)
def _nearest(rows: jax.Array, x: jax.Array, k: int) -> jax.Array:
    """Squared distance to the k-th nearest; each point is itself the nearest of all."""
    return -jax.lax.top_k(-_squared_distances(rows, x), k + 1)[0][:, k]


@jax.jit
def _within(rows: jax.Array, centres: jax.Array, radii: jax.Array) -> jax.Array:
    return jnp.any(_squared_distances(rows, centres) <= radii[None], axis=1)


def _squared_distances(a: jax.Array, b: jax.Array) -> jax.Array:
    product = jnp.dot(a, b.T, precision="highest")
    return jnp.maximum((a**2).sum(1)[:, None] - 2 * product + (b**2).sum(1)[None], 0)
