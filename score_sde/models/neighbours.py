r"""What a point of a chain in space is told of its neighbours in the chain, and moved along.

Of the neighbours j steps before and after a point, with a_j = x_(i + j) - x_i, d_j its length and
u_j its direction,

    r(d_j) (models.pairs),   u_j . u_k for j < k,   det(u_j, u_k, u_l) of three that follow,   (1)

which no turn changes and a reflection but by the sign of the last: lengths of bonds, their angles,
and which way round a helix goes. What a network makes of them as numbers w_j moves the point along

    sum_j w_j u_j.                                                                          (2)

So the geometry of a chain need not be made of coordinates, whose differences are small beside them
(equivariant networks have nothing else, see models.egnn; here a transformer has both).
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from score_sde.models.pairs import distance, radial

SPACE = 3  # coordinates of a point


@dataclasses.dataclass(frozen=True)
class Neighbours:
    """Those up to so many steps before and after a point.

    Attributes:
        most: steps.
        waves: of r(d).
    """

    most: int
    waves: int

    @property
    def steps(self) -> tuple[int, ...]:
        """From the first before to the last after, 0 left out."""
        return tuple(j for j in range(-self.most, self.most + 1) if j)

    @property
    def numbers(self) -> int:
        """How many (1) are."""
        n = len(self.steps)
        return n * (1 + 2 * self.waves) + n * (n - 1) // 2 + max(0, n - 2)

    def apart(self, x: jax.Array, there: jax.Array | None) -> tuple[jax.Array, jax.Array]:
        """a_j, [batch, points, steps, 3], 0 where there is none, and where there is one, 1 or 0.

        Args:
            x: [batch, points, 3].
            there: which rows are points, bool [batch, points]; None for all.
        """
        points = x.shape[1]
        after = np.arange(points)[:, None] + np.asarray(self.steps)
        known = (after >= 0) & (after < points)
        after = np.clip(after, 0, points - 1)
        known = jnp.broadcast_to(known[None], (len(x), *known.shape))
        if there is not None:
            known &= there[:, :, None] & there[:, after]
        pairs = known[..., None].astype(x.dtype)
        return (x[:, after] - x[:, :, None]) * pairs, pairs

    def told(self, apart: jax.Array, pairs: jax.Array) -> tuple[jax.Array, jax.Array]:
        """(1), [batch, points, numbers], and u_j, [batch, points, steps, 3].

        Args:
            apart: a_j; see `apart`.
            pairs: where there is one.
        """
        d = distance(apart, pairs)
        u = apart / jnp.where(d > 0, d, 1)
        first, second = np.triu_indices(len(self.steps), 1)
        angles = jnp.einsum("bpjx,bpkx->bpjk", u, u)[:, :, first, second]
        turns = jnp.sum(jnp.cross(u[:, :, :-2], u[:, :, 1:-1]) * u[:, :, 2:], axis=-1)
        lengths = radial(apart, pairs, self.waves)
        flat = lengths.reshape(*lengths.shape[:2], -1)
        return jnp.concatenate([flat, angles, turns], axis=-1), u
