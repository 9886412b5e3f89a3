"""Where the states of a model lie, if that is a linear subspace: noise and densities are of it.

Points without a centre of mass, in rows of which some examples use a few only, fill a subspace
of all arrays of their shape, whose dimension differs from example to example. With P the orthogonal
projection onto it, x = P x for data, noise and every state between them:

    x_t = alpha x_0 + sigma P eps,    log N(x; 0, s^2 P) = -|x|^2 / 2 s^2 - (d / 2) log(2 pi s^2),
    d = tr P                                                                                    (1)

(for a zero centre of mass: Köhler et al. 2020, arXiv 2006.02425; Xu et al. 2022, arXiv 2203.02923,
Section 4). A projection needs no basis, and so serves examples of all sizes in one batch. A
denoiser says where its states lie by a method `lies_in`; one without fills its space.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

Cond = Mapping[str, jax.Array] | None


@dataclasses.dataclass(frozen=True)
class Subspace:
    """All states of a shape; members are frozen dataclasses of options, and hold no arrays.

    Attributes:
        centred: so many coordinates, the first, have a mean of zero: where all of an example lies
            is nothing that can be known, or drawn.
    """

    centred: ClassVar[int] = 0

    @property
    def conditions(self) -> tuple[str, ...]:
        """Names of the conditions that it is read from, which no guidance takes away."""
        return ()

    def project(self, x: jax.Array, cond: Cond) -> jax.Array:
        """P x, of arrays x [batch, *data]; cond: conditions by name, [batch, ...] each."""
        return x

    def dimension(self, x: jax.Array, cond: Cond) -> int | jax.Array:
        """tr P, [batch] or one number, for states of the shape of x [batch, *data]."""
        return math.prod(x.shape[1:])

    def there(self, x: jax.Array, cond: Cond) -> jax.Array:
        """Which elements of the first axis there are, bool [batch, n]; as `project` is called."""
        return jnp.ones(x.shape[:2], bool)


@dataclasses.dataclass(frozen=True)
class PointSets(Subspace):
    """Sets of up to n points, [batch, n, d]; rows past the size of an example are zero.

    Attributes:
        centred: so many coordinates, the first, have a mean of zero over the points of an example.
        size: the condition that says how many points an example has, [batch]; "" if all have n.
    """

    centred: int = 3
    size: str = ""

    @property
    def conditions(self) -> tuple[str, ...]:
        """The size."""
        return (self.size,) if self.size else ()

    def project(self, x: jax.Array, cond: Cond) -> jax.Array:
        """Rows past the size to zero, and the mean of the others from their first coordinates.

        Raises:
            ValueError: the size is not among the conditions.
        """
        return centred(x, self.there(x, cond), self.centred)

    def dimension(self, x: jax.Array, cond: Cond) -> jax.Array:
        """size d - centred, [batch]; 0 where there is no point."""
        points = jnp.sum(self.there(x, cond), axis=1)
        return jnp.maximum(points * x.shape[-1] - self.centred, 0)

    def there(self, x: jax.Array, cond: Cond) -> jax.Array:
        """Which rows are points, bool [batch, n].

        Raises:
            ValueError: as `project`.
        """
        batch, n, _ = x.shape
        if not self.size:
            return jnp.ones((batch, n), bool)
        if (cond or {}).get(self.size) is None:
            raise ValueError(
                f"the condition {self.size} says how many points each example has: give it"
            )
        return jnp.arange(n)[None] < jnp.reshape(cond[self.size], (-1, 1))


def centred(x: jax.Array, there: jax.Array, axes: int) -> jax.Array:
    """Points without a centre of mass, and zeros where there is none.

    Args:
        x: [batch, n, d].
        there: which rows are points, bool [batch, n].
        axes: so many coordinates, the first, are centred.
    """
    there = there[..., None]
    x = jnp.where(there, x, 0)
    count = jnp.maximum(jnp.sum(there, axis=1, keepdims=True), 1).astype(x.dtype)
    places, rest = x[..., :axes], x[..., axes:]
    places = jnp.where(there, places - jnp.sum(places, axis=1, keepdims=True) / count, 0)
    return jnp.concatenate([places, rest], axis=-1)


@dataclasses.dataclass(frozen=True)
class Support:
    """Where the states of a batch lie.

    Attributes:
        subspace: of all batches.
        cond: the conditions of this one.
    """

    subspace: Subspace = Subspace()
    cond: Any = None

    def project(self, x: jax.Array) -> jax.Array:
        """P x; [batch, *data] both."""
        return self.subspace.project(x, self.cond)

    def dimension(self, x: jax.Array) -> int | jax.Array:
        """tr P for states of the shape of x [batch, *data]; [batch] or one number."""
        return self.subspace.dimension(x, self.cond)


WHOLE = Support()


def lies_in(denoise: Any) -> Subspace:
    """Where the states of a denoiser lie."""
    own = getattr(denoise, "lies_in", None)
    return Subspace() if own is None else own()


def support_of(denoise: Any, cond: Any) -> Support:
    """Where the states of a denoiser lie that it is asked about under these conditions."""
    return Support(lies_in(denoise), cond)
