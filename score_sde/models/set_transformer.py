"""A transformer on sets of points: no point has a place in a row, so their order changes nothing.

With c as of models.dit and the blocks of its equation (1),

    h_i = W (points_i, sines and cosines of places_i),                                      (1)
    out_i = W ((1 + s) * norm(h_i) + b),

where a point sees all points of its set, and none that is not there. Attention without positions
is equivariant to permutations (Lee et al. 2019, arXiv 1810.00825, Property 1), and so is the
network. It sees where points are by their coordinates alone, at several scales (Tancik et al. 2020,
arXiv 2006.10739). Points of a chain can be told of their neighbours besides, and moved along what
lies between; see models.neighbours.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated

import jax
import jax.numpy as jnp
from flax import nnx

from score_sde.checks import present
from score_sde.models import arguments, sizes
from score_sde.models.arguments import Given
from score_sde.models.conditions.combined import NO_CONDITIONS, MakeEmbedding
from score_sde.models.dit import SIZES, DiTBlock, Told, told
from score_sde.models.embeddings import positional
from score_sde.models.layers import Dense, Layer
from score_sde.models.neighbours import SPACE, Neighbours
from score_sde.models.shapes import check_state
from score_sde.models.stacked import Stacked
from score_sde.models.transformer import TokenNorm, modulate
from score_sde.values import Share, between, one_of


class SetTransformer(nnx.Module):
    """Equation (1) and DiT's blocks, for sets of at most so many points.

    Args:
        shape: of the data, (most points, coordinates).
        size: the published size of DiT's, a key of dit.SIZES.
        channels: features of a point, a multiple of 4 and of heads; 0: as size says.
        depth: number of blocks; 0: as size says.
        heads: of attention; 0: as size says.
        mlp_ratio: size of the hidden layer of each block, as a multiple of channels.
        waves: of each coordinate, sines and cosines of 2^j times it for so many j from 0.
        qk_norm: normalise queries and keys, see transformer.SelfAttention.
        dropout: rate of the dropout of what attention and layers add in each block.
        ordered: whether points have an order, as those of a chain, which the network is then told
            by sines and cosines of their numbers; else it changes nothing.
        neighbours: of points in space with an order, how many before and after a point it is told
            of, and moved along the ways to; see models.neighbours.
        size_condition: the condition that says how many points there are; "" if all are.
        conditions: what makes the embedding of each condition, by name; see conditions.combined.
        dtype: of the computation; statistics, softmax and output stay in float32.
        param_dtype: of the parameters.
        remat: recompute each block in the backward pass instead of keeping its activations.
        rngs: random streams `params` and `constants` of the initialisation. None is kept.

    Raises:
        ValueError: the data are no sets, or an option cannot work.
    """

    def __init__(
        self,
        *,
        shape: Given[Sequence[int]] = (512, 3),
        size: Annotated[str, one_of(SIZES)] = "S",
        channels: sizes.Own = 0,
        depth: sizes.Own = 0,
        heads: sizes.Own = 0,
        mlp_ratio: sizes.Ratio = 4.0,
        waves: Annotated[int, between(0, 32)] = 4,
        qk_norm: bool = False,
        dropout: Share = 0.0,
        ordered: bool = False,
        neighbours: Annotated[int, between(0, 32)] = 0,
        size_condition: Given[str] = "",
        conditions: Given[Mapping[str, MakeEmbedding]] = NO_CONDITIONS,
        dtype: jnp.dtype = jnp.float32,
        param_dtype: Given[jnp.dtype] = jnp.float32,
        remat: bool = False,
        rngs: Given[nnx.Rngs],
    ):
        given = {name: value for name, value in locals().items() if name not in ("self", "rngs")}
        arguments.check(type(self), given)
        if len(shape) != 2:
            raise ValueError(f"this network is for sets, (points, numbers), not {tuple(shape)}")
        if neighbours and not (ordered and shape[-1] == SPACE):
            raise ValueError(
                f"neighbours={neighbours} is of points with an order and {SPACE} coordinates: give "
                "ordered too, or neighbours=0"
            )
        own = {"channels": channels, "depth": depth, "heads": heads, "patch": 0}
        chosen = sizes.size(f"{size}/1", SIZES, **own)
        if chosen.channels % 4:
            raise ValueError(f"channels={chosen.channels} must be a multiple of 4")
        self.shape, self.dtype, self.waves = tuple(shape), jnp.dtype(dtype), waves
        self.size_condition, self.ordered = size_condition, ordered
        self.neighbours = Neighbours(neighbours, waves) if neighbours else None
        layer: Layer = {"param_dtype": param_dtype, "rngs": rngs}
        width = chosen.channels
        both = Told(width, conditions, closed=False, **layer)
        self.noise_embedding, self.conditions = both.noise_embedding, both.conditions
        steps = len(self.neighbours.steps) if self.neighbours else 0
        coordinates = (1 + 2 * waves) * (1 + steps) * self.shape[-1]
        invariant = self.neighbours.numbers if self.neighbours else 0
        self.dense_in = Dense(coordinates + invariant, width, **layer)
        self.blocks = Stacked(
            lambda rngs: DiTBlock(
                width,
                chosen.heads,
                mlp_ratio=mlp_ratio,
                feed_forward="gelu_tanh",
                norm="layer",
                qk_norm=qk_norm,
                layers_eps=1e-6,
                dropout_rate=dropout,
                embeddings=None,
                param_dtype=param_dtype,
                rngs=rngs,
            ),
            chosen.depth,
            remat=remat,
            rngs=rngs,
        )
        self.norm = TokenNorm(width, affine=False, param_dtype=param_dtype)
        self.modulation = Dense(width, 2 * width, scale=0, **layer)
        self.dense_out = Dense(width, self.shape[-1], scale=0, **layer)
        self.dense_along = Dense(width, steps, scale=0, **layer) if neighbours else None

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
            x: noisy sets, [batch, points, numbers]; float64 is kept.
            noise_label: noise level of each, [batch], at most about 1000: 999 t.
            cond: conditions by name, [batch, ...] each; None for none.
            key: JAX random key of dropout, of features and of conditions; None for neither.

        Returns:
            The shape of x, in float32 (float64 for float64); of rows that are no points, anything.

        Raises:
            ValueError: x is not of the network's shape, or cond has what it is not told.
        """
        check_state(x, self.shape)
        wide = jnp.promote_types(x.dtype, jnp.float32)
        compute = wide if wide == jnp.float64 else self.dtype
        keys = (None, None) if key is None else jax.random.split(key)
        c = told(self, noise_label.astype(wide), cond, keys[0]).astype(compute)
        there = self._there(x, cond)
        seen, along = [self._waves(x)], None
        if self.neighbours is not None:
            apart, pairs = self.neighbours.apart(x, there)
            told_of, along = self.neighbours.told(apart, pairs)
            seen += [self._waves(apart.reshape(*x.shape[:2], -1)), told_of]
        h = self.dense_in(jnp.concatenate(seen, axis=-1).astype(compute))
        if self.ordered:
            h = h + positional(jnp.arange(x.shape[1], dtype=compute), h.shape[-1])[None]

        def step(
            block: DiTBlock, h: jax.Array, _: None, key: jax.Array | None
        ) -> tuple[jax.Array, None]:
            return block(h, c, None, key, there), None

        h, _ = self.blocks.scan(step, h, keys[1])
        shift, scale = jnp.split(self.modulation(c)[:, None], 2, axis=-1)
        h = modulate(self.norm(h), shift, scale)
        out = self.dense_out(h).astype(wide)
        if along is None:
            return out
        return out + jnp.sum(
            present("dense_along", self.dense_along)(h).astype(wide)[..., None] * along, axis=2
        )

    def _waves(self, x: jax.Array) -> jax.Array:
        """x, and sines and cosines of 2^j x, [batch, points, (1 + 2 waves) numbers of x]."""
        angles = [2.0**j * x for j in range(self.waves)]
        return jnp.concatenate([x, *map(jnp.sin, angles), *map(jnp.cos, angles)], axis=-1)

    def _there(self, x: jax.Array, cond: Mapping[str, jax.Array] | None) -> jax.Array | None:
        """Which rows are points, bool [batch, points]; None where all are."""
        size = (cond or {}).get(self.size_condition)
        if size is None:
            return None
        return jnp.arange(x.shape[1])[None] < size[:, None]
