r"""How a model's sets of points compare with held-out ones, beside sets of the training data.

Of sets X and Y of n points, the Chamfer distance, and the earth mover's where both are as large,

    CD = mean_x min_y |x - y|^2 + mean_y min_x |x - y|^2,                                   (1)
    EMD = min over one-to-one maps of mean_x |x - map(x)|,                                  (2)

and of as many sets S as held-out ones H (Yang et al. 2019, arXiv 1906.12320, Section 5.2):

    1-NNA       the share of S and H together whose nearest other set is of their own kind: 1/2 if
                both are of one distribution (Lopez-Paz and Oquab 2016, arXiv 1610.06545)
    coverage    the share of H that is the nearest one of some set in S
    MMD         the mean over H of the distance to the nearest set in S
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Annotated, Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from score_sde import sections
from score_sde.evaluation.metric import DENOISER, Entries, Metric, number
from score_sde.evaluation.shares import share_error
from score_sde.evaluation.subject import Subject
from score_sde.values import Count, between

_AT_ONCE = 2**24  # distances of points

# (sets [n, points, d], sets [m, points, d]) -> distances, float64 [n, m].
Distances = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True)
class PointSets(Metric):
    """The numbers of the module, of sets about their centres.

    Attributes:
        sets: held-out sets, and as many samples; all that are asked for if there are fewer.
        earth_movers: of so many of them (2) is computed too, which takes long; 0 for none.
        training: training sets, evenly spaced, among which the nearest to a sample is looked for.
    """

    NEEDS: ClassVar[str] = DENOISER

    sets: Annotated[int, between(2, 100_000)] = 500
    earth_movers: Annotated[int, between(0, 1000)] = 16
    training: Count = 1000

    def __post_init__(self) -> None:
        sections.check(self)

    def prepare(self, subject: Subject) -> Callable[[], Entries]:
        """See Metric.

        Raises:
            ValueError: the data are no sets of points, or there are not two.
        """
        if (field := subject.source.info[subject.field]).kind != "points":
            raise ValueError(f"it is of sets of points, and the model draws {field.kind}s")
        if subject.number < 2:
            raise ValueError("it is of two held-out sets at least")
        return lambda: _measured(subject, self)


class Quality(NamedTuple):
    """What is found of sets S and H; each with its standard error.

    Attributes:
        nna: 1-NNA; its error is that of as many independent votes.
        coverage: likewise.
        mmd: its error is over H.
    """

    nna: tuple[float, float]
    coverage: tuple[float, float]
    mmd: tuple[float, float]


def quality(distances: Distances, ours: np.ndarray, theirs: np.ndarray) -> Quality:
    """Of sets S and as many sets H, [n, points, d] each."""
    n = len(ours)
    across, own, other = (
        distances(*pair) for pair in ((ours, theirs), (ours, ours), (theirs, theirs))
    )
    for square in (own, other):
        np.fill_diagonal(square, np.inf)
    right = np.concatenate(
        [own.min(axis=1) < across.min(axis=1), other.min(axis=1) < across.min(axis=0)]
    )
    covered = len(set(across.argmin(axis=1).tolist())) / n
    nearest = across.min(axis=0)
    share = float(right.mean())
    return Quality(
        (share, share_error(share, 2 * n)),
        (covered, share_error(covered, n)),
        (float(nearest.mean()), float(nearest.std(ddof=1) / math.sqrt(n))),
    )


def chamfer(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Equation (1) of sets [n, points, d] and [m, points, d]; rows of zeros are no points."""
    rows = max(1, _AT_ONCE // (x.shape[1] * y.shape[1]))
    return np.asarray(_chamfer(jnp.asarray(x), jnp.asarray(y), min(rows, len(y))), np.float64)


@jax.jit(static_argnums=2)
def _chamfer(x: jax.Array, y: jax.Array, rows: int) -> jax.Array:
    def one(pair: tuple[jax.Array, jax.Array]) -> jax.Array:
        a, b = pair
        in_a, in_b = jnp.any(a != 0, axis=-1), jnp.any(b != 0, axis=-1)
        products = jnp.matmul(a, b.T, precision="highest")
        squares = jnp.sum(a**2, axis=1)[:, None] + jnp.sum(b**2, axis=1)[None] - 2 * products
        seen = jnp.where(in_a[:, None] & in_b[None], jnp.maximum(squares, 0), jnp.inf)
        to_b = jnp.mean(seen.min(axis=1), where=in_a)
        return to_b + jnp.mean(seen.min(axis=0), where=in_b)

    def row(a: jax.Array) -> jax.Array:
        return jax.lax.map(lambda b: one((a, b)), y, batch_size=rows)

    return jax.lax.map(row, x)


def earth_movers(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Equation (2) of sets [n, points, d] and [m, points, d], all of as many points; exact."""
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial.distance import cdist

    def one(a: np.ndarray, b: np.ndarray) -> float:
        cost = cdist(a, b)
        return float(cost[linear_sum_assignment(cost)].mean())

    return np.array([[one(a, b) for b in y] for a in x])


def _measured(subject: Subject, options: PointSets) -> Entries:
    """The entries "nna", "coverage", "mmd" and "nearest_training", and of (2) the first three."""
    n = min(options.sets, subject.number)
    held_out = _states(subject, subject.source, n)
    training = subject.training()
    real = _states(subject, training, n)
    drawn, nfe = [], 0
    with subject.count(n, "samples") as count:
        for batch, used in subject.draw(min(subject.batch_size, n), n, 0, count.reach):
            drawn.append(_centred(subject, batch))
            nfe = used
    samples = np.concatenate(drawn)
    protocol = {
        **subject.protocol(),
        **subject.space.protocol,
        **subject.sampling,
        "sets": n,
        "training": {"name": training.info.name, "split": training.info.split, "of": len(training)},
    }
    entries: Entries = {}
    few = options.earth_movers
    kinds: list[tuple[str, Distances, int]] = [("", chamfer, n)]
    whole = all((sets.any(axis=-1)).all() for sets in (held_out, real, samples))
    if few >= 2 and whole:
        kinds.append(("_emd", earth_movers, min(few, n)))
    for ending, distances, size in kinds:
        found, beside = (
            quality(distances, sets[:size], held_out[:size]) for sets in (samples, real)
        )
        for name, value, of_real in zip(Quality._fields, found, beside, strict=True):
            entries[f"{name}{ending}"] = {
                **number(*value),
                "of_training_sets": number(*of_real),
                "sets": size,
            }
    known = _states(subject, training, options.training)
    for name, sets in (("nearest_training", samples), ("nearest_training_held_out", held_out)):
        nearest = chamfer(sets, known).min(axis=1)
        error = float(nearest.std(ddof=1) / math.sqrt(n))
        entries[name] = {**number(float(nearest.mean()), error), "least": float(nearest.min())}
    return {name: entry | {"nfe": nfe, "protocol": protocol} for name, entry in entries.items()}


def _states(subject: Subject, source: Any, n: int) -> np.ndarray:
    """So many of a source's sets, evenly spaced, about their centres, [n, points, d]."""
    rows = np.unique(np.linspace(0, len(source) - 1, n).round().astype(np.int64))
    return _centred(subject, source.gather(rows)[subject.field])


def _centred(subject: Subject, examples: np.ndarray) -> np.ndarray:
    space = subject.space
    return np.asarray(space.decode(space.encode(jnp.asarray(examples))))
