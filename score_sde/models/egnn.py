r"""A network on points in space that turns as they turn: EGNN (Satorras et al. 2021, 2102.09844).

Each point i has a place x_i and features h_i. With d_ij the distance of two, and d_ij^0 that at
the input, a layer is, over all pairs of points that are there (their equations 3 to 6, with the
gate of equation 8 and, as Hoogeboom et al. 2022, arXiv 2203.17003, equation 12, the division by
d_ij + 1),

    m_ij = phi_e(h_i, h_j, r(d_ij), r(d_ij^0)),    m_i = sum_j sigmoid(w . m_ij + b) m_ij / n,
    x_i <- x_i + sum_j (x_i - x_j) / (d_ij + 1) phi_x(m_ij) / n,                           (1)
    h_i <- h_i + phi_h(h_i, m_i),

r(d) = (d^2, sines and cosines of 2^k d). What the network gives is the way that each place went
and the features at the end, so for any rotation or reflection R, shift v and permutation,

    f(R x + v, h) = (R f_x(x, h), f_h(x, h)),                                              (2)

and rows of points that are not there change nothing.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated

import jax
import jax.numpy as jnp
from flax import nnx

from score_sde.models import arguments
from score_sde.models.arguments import Given, Width
from score_sde.models.conditions.combined import NO_CONDITIONS, MakeEmbedding
from score_sde.models.dit import Told, told
from score_sde.models.embeddings import TwoLayers
from score_sde.models.layers import Dense, Layer
from score_sde.models.pairs import distance, radial
from score_sde.models.shapes import check_state
from score_sde.models.stacked import Stacked
from score_sde.values import Positive, between

_PLACES = 3


class EGNNLayer(nnx.Module):
    """Equation (1).

    Args:
        channels: features of a point.
        radial: numbers of r(d) and r(d^0) together.
        neighbours: n.
        param_dtype: dtype of the parameters.
        rngs: random streams of the initialisation.
    """

    def __init__(
        self,
        channels: int,
        radial: int,
        *,
        neighbours: float,
        param_dtype: jnp.dtype,
        rngs: nnx.Rngs,
    ):
        layer: Layer = {"param_dtype": param_dtype, "rngs": rngs}
        # The first layer of phi_e, a part for each argument: that of a point is of all its pairs.
        self.own = Dense(channels, channels, **layer)
        self.other = Dense(channels, channels, bias=False, **layer)
        self.radial = Dense(radial, channels, bias=False, **layer)
        self.message = Dense(channels, channels, **layer)
        self.gate = Dense(channels, 1, **layer)
        self.step_0 = Dense(channels, channels, **layer)
        # Small at first, so that no layer throws points far away (their released code).
        self.step_1 = Dense(channels, 1, scale=1e-4, bias=False, **layer)
        self.update = TwoLayers(2 * channels, channels, kind="swish", **layer)
        self.neighbours = neighbours

    def __call__(
        self, x: jax.Array, h: jax.Array, pairs: jax.Array, waves: int, first: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """Places [batch, n, 3] and features [batch, n, channels] after the layer.

        Args:
            x: places.
            h: features.
            pairs: 1 for pairs of different points that are there, else 0; [batch, n, n, 1].
            waves: of r(d).
            first: r(d^0), [batch, n, n, numbers].
        """
        apart = x[:, :, None] - x[:, None]
        seen = jnp.concatenate([radial(apart, pairs, waves), first], axis=-1).astype(h.dtype)
        m = self.own(h)[:, :, None] + self.other(h)[:, None] + self.radial(seen)
        m = jax.nn.silu(self.message(jax.nn.silu(m)))
        gate = jax.nn.sigmoid(self.gate(m)) * pairs.astype(h.dtype)
        step = self.step_1(jax.nn.silu(self.step_0(m))).astype(x.dtype) * pairs
        x = x + jnp.sum(apart / (distance(apart, pairs) + 1) * step, axis=2) / self.neighbours
        gathered = jnp.sum(gate * m, axis=2) / jnp.asarray(self.neighbours, h.dtype)
        return x, h + self.update(jnp.concatenate([h, gathered], axis=-1))


class EGNN(nnx.Module):
    """Equation (2), of layers (1), for sets of at most so many points.

    Args:
        shape: of the data, (most points, 3 + features of a point).
        channels: features of a point within, a multiple of 4.
        depth: number of layers.
        waves: of each distance, sines and cosines of 2^k times it for so many k from 0.
        neighbours: n, by which sums over points are divided; about how many there are.
        size_condition: the condition that says how many points there are; "" if all are.
        conditions: what makes the embedding of each condition, by name; see conditions.combined.
        dtype: of the computation of features; places and output stay in float32.
        param_dtype: of the parameters.
        remat: recompute each layer in the backward pass instead of keeping its activations.
        rngs: random streams `params` and `constants` of the initialisation. None is kept.

    Raises:
        ValueError: the data are no points in space, or an option cannot work.
    """

    def __init__(
        self,
        *,
        shape: Given[Sequence[int]] = (29, 8),
        channels: Width = 64,
        depth: Annotated[int, between(1, 1000)] = 4,
        waves: Annotated[int, between(0, 16)] = 4,
        neighbours: Positive = 10.0,
        size_condition: Given[str] = "",
        conditions: Given[Mapping[str, MakeEmbedding]] = NO_CONDITIONS,
        dtype: jnp.dtype = jnp.float32,
        param_dtype: Given[jnp.dtype] = jnp.float32,
        remat: bool = False,
        rngs: Given[nnx.Rngs],
    ):
        arguments.check(EGNN, locals())
        if len(shape) != 2 or shape[1] < _PLACES:
            raise ValueError(
                f"this network is for points, (most points, 3 + features), not {tuple(shape)}"
            )
        if channels % 4:
            raise ValueError(f"channels={channels} must be a multiple of 4")
        self.shape, self.dtype, self.waves = tuple(shape), jnp.dtype(dtype), waves
        self.size_condition = size_condition
        layer: Layer = {"param_dtype": param_dtype, "rngs": rngs}
        both = Told(channels, conditions, closed=False, **layer)
        self.noise_embedding, self.conditions = both.noise_embedding, both.conditions
        features = shape[1] - _PLACES
        self.features = Dense(features, channels, **layer) if features else None
        self.told = Dense(channels, channels, **layer)
        numbers = 2 * (1 + 2 * waves)
        self.layers = Stacked(
            lambda rngs: EGNNLayer(
                channels, numbers, neighbours=neighbours, param_dtype=param_dtype, rngs=rngs
            ),
            depth,
            remat=remat,
            rngs=rngs,
        )
        self.out = TwoLayers(channels, channels, kind="swish", **layer) if features else None
        self.out_features = Dense(channels, features, scale=0, **layer) if features else None

    def __call__(
        self,
        x: jax.Array,
        noise_label: jax.Array,
        cond: Mapping[str, jax.Array] | None = None,
        *,
        key: jax.Array | None = None,
    ) -> jax.Array:
        """The network's output at x.

        Args:
            x: noisy sets, [batch, points, 3 + features]; float64 is kept.
            noise_label: noise level of each, [batch], at most about 1000: 999 t.
            cond: conditions by name, [batch, ...] each; None for none.
            key: JAX random key of conditions; None for none.

        Returns:
            The shape of x, in float32 (float64 for float64); zeros in rows that are no points.

        Raises:
            ValueError: x is not of the network's shape, or cond has what it is not told.
        """
        check_state(x, self.shape)
        wide = jnp.promote_types(x.dtype, jnp.float32)
        compute = wide if wide == jnp.float64 else self.dtype
        x = x.astype(wide)
        c = self.told(told(self, noise_label.astype(wide), cond, key).astype(compute))
        there = self._there(x, cond)
        pairs = there[:, :, None] & there[:, None] & ~jnp.eye(x.shape[1], dtype=bool)[None]
        pairs = pairs[..., None].astype(wide)
        begin, h = x[..., :_PLACES], jnp.broadcast_to(c[:, None], (*x.shape[:2], c.shape[-1]))
        if self.features is not None:
            h = h + self.features(x[..., _PLACES:].astype(compute))
        first = radial(begin[:, :, None] - begin[:, None], pairs, self.waves)
        (end, h), _ = self.layers.scan(
            lambda layer, state, _, key: (layer(*state, pairs, self.waves, first), None),
            (begin, h),
            None,
        )
        parts = [end - begin]
        if self.out is not None and self.out_features is not None:
            parts.append(self.out_features(jax.nn.silu(self.out(h))).astype(wide))
        return jnp.where(there[..., None], jnp.concatenate(parts, axis=-1), 0)

    def _there(self, x: jax.Array, cond: Mapping[str, jax.Array] | None) -> jax.Array:
        """Which rows are points, bool [batch, points]."""
        size = (cond or {}).get(self.size_condition)
        if size is None:
            return jnp.ones(x.shape[:2], bool)
        return jnp.arange(x.shape[1])[None] < size[:, None]
