"""The kernel inception distance (Binkowski et al. 2018, arXiv 1801.01401)."""

from __future__ import annotations

import dataclasses
import math
from typing import Annotated, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from score_sde import sections
from score_sde.evaluation.metric import Entries, SampleMetric, number
from score_sde.evaluation.reference import Reference
from score_sde.evaluation.samples import Drawn
from score_sde.values import LARGEST, between


@dataclasses.dataclass(frozen=True)
class KID(SampleMetric):
    """The distance of the samples from the real examples.

    Attributes:
        subsets: that it is averaged over.
        size: samples in each; at most half as many as there are.
    """

    FEATURES: ClassVar[bool] = True

    subsets: Annotated[int, between(1, 1_000_000)] = 100
    size: Annotated[int, between(2, LARGEST)] = 1000

    def __post_init__(self) -> None:
        sections.check(self)

    @property
    def fewest(self) -> int:
        """Half of 4 have a kernel between them."""
        return 4

    def judge(self, drawn: Drawn, real: Reference, seed: int, mesh: Mesh | None) -> Entries:
        """The entry "kid"; see SampleMetric."""
        size = min(self.size, len(real.features) // 2, len(drawn.features) // 2)
        found = kernel_distance(
            drawn.features, real.features, subsets=self.subsets, size=size, seed=seed
        )
        return {
            "kid": {
                **number(found.mean, found.standard_error),
                "std_over_subsets": found.std if math.isfinite(found.std) else None,
                "subsets": self.subsets,
                "subset_size": found.size,
                "subset_seed": seed,
            }
        }


class KernelDistance(NamedTuple):
    """KID over subsets.

    Attributes:
        mean: over subsets; unbiased, so it may be below 0.
        std: over subsets, what papers state beside it.
        standard_error: of the mean, for the draw of both sets; NaN if a subset is a whole set.
        size: features in a subset.
    """

    mean: float
    std: float
    standard_error: float
    size: int


def kernel_distance(
    x: np.ndarray, y: np.ndarray, *, subsets: int = 100, size: int = 1000, seed: int = 0
) -> KernelDistance:
    """The mean of the unbiased squared MMD over random subsets of both sets.

    A subset of size s has a variance v, of which v s / n comes from the draw of a set of n (its
    part decays as 1 / n), and the rest, w = v (1 - s / n), is what differs between its subsets. So
    the mean over K of them has the variance w / K + v s / n = w (1 / K + s / (n - s)).

    Args:
        x: features, [n, d].
        y: features, [m, d].
        subsets: how many.
        size: features in each, drawn without replacement; at most as many as there are.
        seed: of the choice of subsets.
    """
    n = min(len(x), len(y))
    size = min(size, n)
    choice = np.random.Generator(np.random.Philox(seed))
    values = np.array(
        [
            mmd2(*(f[np.sort(choice.choice(len(f), size, replace=False))] for f in (x, y)))
            for _ in range(subsets)
        ]
    )
    within = values.var(ddof=1) if subsets > 1 else np.nan
    error = np.sqrt(within * (1 / subsets + size / (n - size))) if n > size else np.nan
    return KernelDistance(float(values.mean()), float(np.sqrt(within)), float(error), size)


def mmd2(x: np.ndarray, y: np.ndarray) -> float:
    """The unbiased squared maximum mean discrepancy, with the kernel (x . y / d + 1)^3.

    Gretton et al. 2012, equation 3: the mean of k(x, x') and of k(y, y') over pairs of different
    examples, less twice the mean of k(x, y).

    Args:
        x: [n, d], n > 1.
        y: [m, d], m > 1.
    """
    # Products in the dtype of the features on the device; sums of the rows in float64 here.
    xx, yy, xy = (np.asarray(rows, np.float64).sum() for rows in _row_sums(x, y))
    n, m = len(x), len(y)
    return float(xx / (n * (n - 1)) + yy / (m * (m - 1)) - 2 * xy / (n * m))


@jax.jit
def _row_sums(x: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Sums over the second example of the kernel of x with x and y with y, not itself, x with y."""

    def kernel(a: jax.Array, b: jax.Array) -> jax.Array:
        return (jnp.dot(a, b.T, precision="highest") / a.shape[1] + 1) ** 3

    def others(a: jax.Array) -> jax.Array:
        return jnp.where(jnp.eye(len(a), dtype=bool), 0, kernel(a, a)).sum(1)

    return others(x), others(y), kernel(x, y).sum(1)
