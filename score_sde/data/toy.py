"""Two-dimensional sets whose density is known exactly: what a model learns of them can be checked.

Each is a mixture of equal Gaussians. In the ring of eight their means are eight points; in the
moons and spirals they are the points of two curves, c(u) and -c(u) with u uniform in 0..1,

    p(x) = 1/2 sum_k int_0^1 N(x; s_k c(u), noise^2 I) du,    s = (1, -1),                       (1)

and the integral is a sum over the nodes and weights of Gauss and Legendre.
"""

from __future__ import annotations

import dataclasses
import math
from typing import ClassVar

import numpy as np

from score_sde.checks import check_positive
from score_sde.data import arrays
from score_sde.data.base import DataError, Source
from score_sde.fields import label, vector

TRAIN_SIZE = 50_000
TEST_SIZE = 2_000

# The density is found for so many points at once: what is computed then stays in the cache.
_CHUNK = 64


def _log_mixture(x: np.ndarray, means: np.ndarray, weights: np.ndarray, std: float) -> np.ndarray:
    """log sum_j weights_j N(x; means_j, std^2 I), nats, [n]: x is [n, 2], means [J, 2]."""
    x = np.asarray(x, np.float64)
    if x.ndim != 2 or x.shape[1] != 2:
        raise ValueError(f"x must be points of the plane, [n, 2], not {list(x.shape)}")
    log_weights = np.log(weights) - np.log(2 * np.pi * std**2)
    found = np.empty(len(x))
    for start in range(0, len(x), _CHUNK):
        part = x[start : start + _CHUNK, None]
        squared = (part[..., 0] - means[:, 0]) ** 2 + (part[..., 1] - means[:, 1]) ** 2
        log_joint = log_weights - squared / (2 * std**2)
        largest = log_joint.max(axis=1, keepdims=True)
        total = np.exp(log_joint - largest).sum(axis=1)
        found[start : start + _CHUNK] = largest[:, 0] + np.log(total)
    return found


class _Curves:
    """Two curves, one the other turned by half a turn, and Gaussian noise, as in (1)."""

    classes: ClassVar[int] = 2
    noise: float

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            check_positive(field.name, getattr(self, field.name))

    def curve(self, u: np.ndarray) -> np.ndarray:
        """The first of the curves, c(u).

        Args:
          u: parameters in 0..1, [n].

        Returns:
          Points, [n, 2].
        """
        raise NotImplementedError

    def sample(self, rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Independent points.

        Args:
          rng: the generator to draw from.
          n: how many.

        Returns:
          Points, float64 [n, 2], and the curve of each, int32 [n], 0 or 1.
        """
        k = rng.integers(self.classes, size=n, dtype=np.int32)
        points = (1 - 2 * k)[:, None] * self.curve(rng.random(n))
        return points + self.noise * rng.standard_normal((n, 2)), k

    def log_density(self, x: np.ndarray) -> np.ndarray:
        """The natural logarithm of (1).

        It is exact to 1e-10 as far as 20 times the noise from a curve, where it is about -200.
        Further away the integrand is narrower than the panels and the error grows: to 1e-6 of the
        value, which is about -5000, at 100 times the noise.

        Args:
          x: points, [n, 2].

        Returns:
          Nats, float64 [n].

        Raises:
          ValueError: x is of another shape.
        """
        return _log_mixture(x, *self.mixture(self.panels), self.noise)

    @property
    def panels(self) -> int:
        """Number of equal parts of 0..1 on each of which c moves by no more than the noise."""
        steps = np.diff(self.curve(np.linspace(0, 1, 1001)), axis=0)
        return math.ceil(1000 * np.linalg.norm(steps, axis=1).max() / self.noise)

    def mixture(self, panels: int) -> tuple[np.ndarray, np.ndarray]:
        """The finite mixture that stands for (1): 16 nodes on each of so many parts of a curve.

        Args:
          panels: number of equal parts of 0..1.

        Returns:
          Means, [32 panels, 2], and weights, [32 panels].
        """
        nodes, weights = np.polynomial.legendre.leggauss(16)
        u = (np.arange(panels)[:, None] + (1 + nodes) / 2) / panels
        points = self.curve(u.ravel())
        return np.concatenate([points, -points]), np.tile(weights / (4 * panels), 2 * panels)


@dataclasses.dataclass(frozen=True)
class Moons(_Curves):
    """Two half circles that reach into each other; the mean of the data is 0.

    c(u) = radius (cos(pi u) - 1/2, sin(pi u) - 1/4): scikit-learn's make_moons, centred and scaled.

    Attributes:
      radius: of each half circle.
      noise: standard deviation.

    Raises:
      ValueError: a number that is not positive.
    """

    radius: float = 1.5
    noise: float = 0.1

    def curve(self, u: np.ndarray) -> np.ndarray:
        """See `_Curves.curve`."""
        return self.radius * np.stack([np.cos(np.pi * u) - 1 / 2, np.sin(np.pi * u) - 1 / 4], 1)


@dataclasses.dataclass(frozen=True)
class Spirals(_Curves):
    """Two arms of a spiral of Archimedes about 0.

    c(u) = r (cos(a), sin(a)) with r^2 = (1 - u) inner^2 + u outer^2 and a = 2 pi r / pitch. As u is
    uniform in r^2, points are spread nearly evenly along an arm.

    Attributes:
      inner: distance from 0 at which an arm begins.
      outer: distance at which it ends.
      pitch: by which an arm moves outwards in a full turn: the arms are half of it apart.
      noise: standard deviation.

    Raises:
      ValueError: a number that is not positive, or an arm that ends before it begins.
    """

    inner: float = 0.5
    outer: float = 3.0
    pitch: float = 2.0
    noise: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.inner >= self.outer:
            raise ValueError(f"inner must be less than outer, {self.outer:g}, not {self.inner:g}")

    def curve(self, u: np.ndarray) -> np.ndarray:
        """See `_Curves.curve`."""
        r = np.sqrt((1 - u) * self.inner**2 + u * self.outer**2)
        a = 2 * np.pi * r / self.pitch
        return r[:, None] * np.stack([np.cos(a), np.sin(a)], 1)


@dataclasses.dataclass(frozen=True)
class Gaussians:
    """A ring of eight Gaussians about 0 of equal weight: component k is at the angle pi k / 4.

    Attributes:
      radius: of the ring.
      noise: standard deviation of each.

    Raises:
      ValueError: a number that is not positive.
    """

    classes: ClassVar[int] = 8
    radius: float = 2.0
    noise: float = 0.25

    def __post_init__(self) -> None:
        check_positive("radius", self.radius)
        check_positive("noise", self.noise)

    @property
    def means(self) -> np.ndarray:
        """Of the components, [8, 2]."""
        a = 2 * np.pi * np.arange(self.classes) / self.classes
        return self.radius * np.stack([np.cos(a), np.sin(a)], 1)

    def sample(self, rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Independent points.

        Args:
          rng: the generator to draw from.
          n: how many.

        Returns:
          Points, float64 [n, 2], and the component of each, int32 [n], 0 to 7.
        """
        k = rng.integers(self.classes, size=n, dtype=np.int32)
        return self.means[k] + self.noise * rng.standard_normal((n, 2)), k

    def log_density(self, x: np.ndarray) -> np.ndarray:
        """log p(x) with p(x) = 1/8 sum_k N(x; mean_k, noise^2 I).

        Args:
          x: points, [n, 2].

        Returns:
          Nats, float64 [n].

        Raises:
          ValueError: x is of another shape.
        """
        return _log_mixture(x, self.means, np.full(self.classes, 1 / self.classes), self.noise)


SETS = {"moons": Moons(), "spirals": Spirals(), "gaussians": Gaussians()}


def load(name: str, split: str = "train") -> Source:
    """Opens one of SETS; its points are the same every time, and those of the splits independent.

    Args:
      name: a key of SETS.
      split: "train", of 50,000 examples, or "test", of 2,000.

    Returns:
      The source, of a vector of two numbers, "vector", and the curve or component that it was drawn
      from, "label"; its `log_density` is exact.

    Raises:
      DataError: there is no such set or split.
    """
    if name not in SETS:
        raise DataError(f"unknown toy set {name!r}: use {', '.join(SETS)}")
    points = SETS[name]

    def draw(rng: np.random.Generator, n: int) -> dict[str, np.ndarray]:
        return dict(zip(("vector", "label"), points.sample(rng, n), strict=True))

    return arrays.function(
        draw,
        TRAIN_SIZE,
        test_size=TEST_SIZE,
        name=name,
        split=split,
        fields=(vector(2), label(points.classes)),
        log_density=points.log_density,
    )
