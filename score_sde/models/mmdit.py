"""MMDiT, the transformer of Stable Diffusion 3 (Esser et al. 2024, arXiv 2403.03206) and 3.5.

Text and patches are two sequences (see joint), and what all blocks are told is the sum of two
embeddings, of the noise level and of the text as one vector:

    h = W patches(x) + p,   c = W text,   y = swish(layers(time) + layers(pooled))
    c, h <- block(c, h, y)                                      in each block
    out = W ((1 + s) * norm(h) + b),                            b, s a dense layer of y    (1)

where p are fixed positions: the middle of a table that is made for the largest image, so that the
middle of every image is at the same place. Stable Diffusion 3.5 normalises queries and keys, and
its medium size has dual blocks. What DiT starts near zero, starts near zero here.
"""

import itertools
from collections.abc import Collection, Mapping, Sequence
from typing import Annotated

import jax
import jax.numpy as jnp
from flax import nnx

from score_sde.models import arguments, sizes, tokens
from score_sde.models.arguments import Given
from score_sde.models.conditions.combined import (
    NO_CONDITIONS,
    MakeEmbedding,
    refuse_conditions,
)
from score_sde.models.conditions.given import given
from score_sde.models.embeddings import TimestepEmbedding, TwoLayers
from score_sde.models.joint import JointBlock, seen
from score_sde.models.layers import Constant, Dense, Layer
from score_sde.models.shapes import image_shape
from score_sde.models.stacked import Stacked
from score_sde.models.transformer import TokenNorm, modulate
from score_sde.values import Count, Length, between

_HEAD = 64  # features of a head
Blocks = Annotated[Sequence[Annotated[int, between(0, 1023)]], Length(0, 1024)]


class MMDiT(nnx.Module):
    """Equation (1), for images of any size that the patch divides, up to the largest.

    Args:
        shape: of the data, (height, width, channels); positions of an image of that size are a
          patch apart.
        patch: side of a patch in pixels.
        depth: number of blocks.
        heads: of attention; 0: as many as blocks.
        channels: features of a token, a multiple of 4 and of heads; 0: 64 for each head.
        mlp_ratio: size of the hidden layer of each block, as a multiple of channels.
        qk_norm: normalise queries and keys, see SelfAttention.
        dual: which blocks are dual, counted from 0.
        positions: how many patches the side of the largest image has.
        text_features: features of a token of the text.
        pooled_features: of the text as one vector.
        conditions: must be empty.
        dtype: of the computation; statistics, softmax and output stay in float32.
        param_dtype: of the parameters.
        remat: recompute each block in the backward pass instead of keeping its activations.
        rngs: random streams of the initialisation. None is kept.

    Raises:
        ValueError: an option that cannot be, or a patch that does not divide the image.
    """

    def __init__(
        self,
        *,
        shape: Given[Sequence[int]] = (128, 128, 16),
        patch: Annotated[int, between(1, 64)] = 2,
        depth: Annotated[int, between(1, 1024)] = 24,
        heads: sizes.Own = 0,
        channels: sizes.Own = 0,
        mlp_ratio: sizes.Ratio = 4.0,
        qk_norm: bool = True,
        dual: Blocks = (),
        positions: Annotated[int, between(1, 2**16)] = 192,
        text_features: Count = 4096,
        pooled_features: Count = 2048,
        conditions: Given[Mapping[str, MakeEmbedding]] = NO_CONDITIONS,
        dtype: jnp.dtype = jnp.float32,
        param_dtype: Given[jnp.dtype] = jnp.float32,
        remat: bool = False,
        rngs: Given[nnx.Rngs],
    ):
        arguments.check(MMDiT, locals())
        refuse_conditions(conditions)
        self.shape, self.patch = image_shape(shape, 0), patch
        sides = tokens.grid(self.shape, patch)
        size = sizes.Size(channels or _HEAD * (heads or depth), depth, heads or depth, patch)
        if size.channels % 4:
            raise ValueError(f"channels={size.channels} must be a multiple of 4")
        if max(sides) > positions:
            raise ValueError(f"positions={positions}: data have {max(sides)} patches a side")
        if outside := [i for i in dual if i >= depth]:
            raise ValueError(f"dual: there is no block {outside[0]}, for depth={depth}")
        self.told_of = {"text": (None, text_features), "pooled": (pooled_features,)}
        self.depth, self.dtype = depth, jnp.dtype(dtype)

        layer: Layer = {"param_dtype": param_dtype, "rngs": rngs}
        pixels, width = patch**2 * self.shape[-1], size.channels
        self.noise_embedding = TimestepEmbedding(width, **layer)
        self.pooled_embedding = TwoLayers(pooled_features, width, kind="swish", **layer)
        self.text_in = Dense(text_features, width, **layer)
        self.dense_in = Dense(pixels, width, **layer)
        self.positions = Constant(
            jnp.asarray(tokens.sines_and_cosines(positions, width // 2, max(sides)), param_dtype)
        )
        self.stacks = nnx.List(
            _stack(size, n, kind, mlp_ratio, qk_norm, remat, **layer)
            for kind, n in _runs(depth, dual)
        )
        self.norm = TokenNorm(width, affine=False, param_dtype=param_dtype)
        self.modulation = Dense(width, 2 * width, scale=0, **layer)
        self.dense_out = Dense(width, pixels, scale=0, **layer)

    def __call__(
        self,
        x: jax.Array,
        noise_label: jax.Array,
        cond: Mapping[str, jax.Array] | None = None,
        *,
        key: jax.Array | None = None,
        skip: Collection[int] = (),
    ) -> jax.Array:
        """The network's output at x.

        Args:
            x: noisy images, [batch, height, width, channels]; float64 is kept.
            noise_label: noise level of each, [batch], 0 to about 1000: 1000 t of rectified flow.
            cond: "text", tokens of the text [batch, n, text_features]; "pooled", the text as one
                vector [batch, pooled_features]; and "text_mask" [batch, n], 0 for each token that
                is not seen, if some are not: Stable Diffusion sees all.
            key: unused: nothing here is random.
            skip: blocks that are left out, counted from 0, as a worse model to guide away from.

        Returns:
            The shape of x, in float32 (float64 for float64).

        Raises:
            ValueError: x is too large, or the patch does not divide it; or see conditions.given;
                or there is no such block.
        """
        rows, columns = self._grid(x)
        found = given(cond, len(x), self.told_of, {"text_mask": (None,)})
        wide = jnp.promote_types(x.dtype, jnp.float32)
        compute = wide if wide == jnp.float64 else self.dtype
        told = self.noise_embedding(noise_label.astype(wide))
        told = told + self.pooled_embedding(found["pooled"].astype(wide))
        told = jax.nn.silu(told).astype(compute)
        text = self.text_in(found["text"].astype(compute))
        h = self.dense_in(tokens.patchify(x.astype(compute), self.patch))
        h = h + self._positions(rows, columns, compute)[None]
        h = self._blocks(text, h, told, seen(found["text_mask"], h.shape[1]), skip)
        shift, scale = jnp.split(self.modulation(told)[:, None], 2, axis=-1)
        out = self.dense_out(modulate(self.norm(h), shift, scale)).astype(wide)
        return tokens.unpatchify(out, rows, columns, self.patch)

    def _grid(self, x: jax.Array) -> tuple[int, int]:
        """Rows and columns of patches."""
        if x.ndim != 4 or x.shape[-1] != self.shape[-1]:
            raise ValueError(
                f"x is {x.shape}; this network is for images of {self.shape[-1]} channels"
            )
        rows, columns = tokens.grid(x.shape[1:], self.patch)
        if max(rows, columns) > len(self.positions[...]):
            most = len(self.positions[...]) * self.patch
            raise ValueError(
                f"x is {x.shape}; this network is for images of at most {most} pixels a side"
            )
        return rows, columns

    def _positions(self, rows: int, columns: int, dtype: jnp.dtype) -> jax.Array:
        """The middle of the table, [tokens, channels]."""
        table = self.positions[...]
        of_row, of_column = (table[(len(table) - n) // 2 :][:n] for n in (rows, columns))
        return tokens.on_grid(of_row, of_column, dtype)

    def _blocks(
        self,
        text: jax.Array,
        h: jax.Array,
        told: jax.Array,
        mask: jax.Array | None,
        skip: Collection[int],
    ) -> jax.Array:
        """The patches after all blocks but those of `skip`."""
        if outside := [i for i in skip if not 0 <= i < self.depth]:
            raise ValueError(f"skip: there is no block {outside[0]}, of {self.depth}")

        def step(block, both, skipped, _):
            run = lambda both: block(*both, told, mask=mask)  # noqa: E731
            if skipped is None:
                return run(both), None
            return jax.lax.cond(skipped, lambda both: both, run, both), None

        both, first = (text, h), 0
        for stack in self.stacks:
            own = range(first, first + stack.depth)
            skipped = jnp.array([i in skip for i in own]) if {*skip} & {*own} else None
            both, _ = stack.scan(step, both, None, skipped)
            first += stack.depth
        return both[1]


def _runs(depth: int, dual: Collection[int]) -> list[tuple[tuple[bool, bool], int]]:
    """Blocks that follow one another: (whether dual, whether the last), and how many."""
    kinds = [(i in dual, i == depth - 1) for i in range(depth)]
    return [(kind, len(list(run))) for kind, run in itertools.groupby(kinds)]


def _stack(
    size: sizes.Size,
    depth: int,
    kind: tuple[bool, bool],
    mlp_ratio: float,
    qk_norm: bool,
    remat: bool,
    *,
    param_dtype: jnp.dtype,
    rngs: nnx.Rngs,
) -> Stacked:
    dual, last = kind

    def make(rngs: nnx.Rngs) -> JointBlock:
        return JointBlock(
            size.channels,
            size.heads,
            hidden=round(size.channels * mlp_ratio),
            qk_norm=qk_norm,
            dual=dual,
            last=last,
            param_dtype=param_dtype,
            rngs=rngs,
        )

    return Stacked(make, depth, remat=remat, rngs=rngs)
