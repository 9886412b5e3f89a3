"""A small encoder of texts, trained from scratch with the network that is told of them.

A transformer on the words of a text (see words), after one token that stands for the whole text and
is there in each:

    h = [s, v(word 1), v(word 2), ...] + p
    h <- h + attention(norm(h)),    h <- h + layers(norm(h))        in each block           (1)
    last = norm(h),    pooled = last[0],

with v their vectors, s and p learned. Every token sees all those that are there. So a text without
words, "", has a meaning of its own, which is learned if texts are hidden in training.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from score_sde.models.layers import Layer
from score_sde.models.stacked import Stacked
from score_sde.models.text.clip import CLIPBlock
from score_sde.models.text.words import WordTable
from score_sde.models.transformer import TokenNorm

_EPS = 1e-5
_MLP_RATIO = 4


class Meaning(NamedTuple):
    """A batch of texts, encoded.

    Attributes:
        tokens: [batch, 1 + words, features].
        mask: which of them there are, bool [batch, 1 + words].
        pooled: one for each text, [batch, features].
    """

    tokens: jax.Array
    mask: jax.Array
    pooled: jax.Array


class TextReader(nnx.Module):
    """Equation (1).

    Args:
        words: the most of a text; those after it are left out.
        features: of a token, a multiple of heads.
        depth: number of blocks.
        heads: of attention.
        rows: of the table that words are hashed to; see words.WordTable.
        param_dtype: dtype of the parameters.
        rngs: random streams of the initialisation.
    """

    def __init__(
        self,
        *,
        words: int,
        features: int,
        depth: int,
        heads: int,
        rows: int,
        param_dtype: jnp.dtype,
        rngs: nnx.Rngs,
    ):
        layer: Layer = {"param_dtype": param_dtype, "rngs": rngs}
        self.table = WordTable(rows, features, words, **layer)
        drawn = jax.nn.initializers.normal(features**-0.5)
        self.positions = nnx.Param(drawn(rngs.params(), (1 + words, features), param_dtype))

        def block(rngs: nnx.Rngs) -> CLIPBlock:
            options = {"activation": "gelu", "eps": _EPS, "param_dtype": param_dtype}
            return CLIPBlock(features, heads, _MLP_RATIO * features, **options, rngs=rngs)

        self.blocks = Stacked(block, depth, remat=False, rngs=rngs)
        self.norm = TokenNorm(features, affine=True, eps=_EPS, param_dtype=param_dtype)

    def __call__(self, value: jax.Array) -> Meaning:
        """Read texts.

        Args:
            value: UTF-8 with zeros after it, uint8 [batch, size].
        """
        vectors, there = self.table(value)
        # The first token is s, of which its position is the only part.
        h = jnp.pad(vectors, ((0, 0), (1, 0), (0, 0))) + self.positions[...][None]
        mask = jnp.pad(there, ((0, 0), (1, 0)), constant_values=True)
        added = jnp.where(mask, 0.0, -jnp.inf)[:, None, None]
        h, _ = self.blocks.scan(lambda block, h, _, __: (block(h, added), None), h, None)
        tokens = self.norm(h)
        return Meaning(tokens, mask, tokens[:, 0])
