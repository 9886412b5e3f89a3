"""The text encoder of CLIP (Radford et al. 2021, arXiv 2103.00020, Section 2.4).

A transformer whose norms come first, and in which a token sees itself and those before it:

    h = E[ids] + p
    h <- h + attention(norm(h)),    h <- h + layers(norm(h))        in each block           (1)
    last = norm(h),    pooled = W last[end],

with E a table, p learned positions, and end where the text ends. OpenCLIP's encoders H and bigG
(Cherti et al. 2022, arXiv 2212.07143) are the same network with another activation.
"""

from typing import Literal

import jax
import jax.numpy as jnp
from flax import nnx

from score_sde.models.layers import Dense, Layer
from score_sde.models.stacked import Stacked
from score_sde.models.text.encoded import Encoded, TokenTable
from score_sde.models.transformer import FeedForward, SelfAttention, TokenNorm


class CLIPBlock(nnx.Module):
    """Equation (1). Arguments as of CLIPText."""

    def __init__(
        self,
        features: int,
        heads: int,
        hidden: int,
        *,
        activation: Literal["gelu", "gelu_tanh", "gelu_sigmoid"],
        eps: float,
        param_dtype: jnp.dtype,
        rngs: nnx.Rngs,
    ):
        layer: Layer = {"param_dtype": param_dtype, "rngs": rngs}
        normal = {"affine": True, "eps": eps, "param_dtype": param_dtype}
        self.norm_0, self.norm_1 = (TokenNorm(features, **normal) for _ in range(2))
        self.attention = SelfAttention(features, heads, **layer)
        self.feed_forward = FeedForward(features, hidden, kind=activation, **layer)

    def __call__(self, h: jax.Array, added: jax.Array) -> jax.Array:
        """h [batch, tokens, features], added [1 or batch, 1, 1 or tokens, tokens] to the logits."""
        h = h + self.attention(self.norm_0(h), added=added)
        return h + self.feed_forward(self.norm_1(h))


class CLIPText(nnx.Module):
    """CLIP's text encoder; the defaults are those of CLIP ViT-L/14.

    Args:
        vocabulary: how many ids there are.
        tokens: the most of a text.
        features: of a token, a multiple of heads.
        depth: number of blocks.
        heads: of attention.
        hidden: size of the hidden layer of each block.
        activation: between its two layers, see FeedForward: "gelu_sigmoid" in OpenAI's encoders,
            "gelu" in OpenCLIP's.
        projection: features of the pooled vector, into which W maps; None: it is not mapped.
        end: the id at whose first place the pooled vector is taken. None: it is that of the largest
            id, which is the same where the end has the largest, as in all that are released.
        eps: of the norms.
        dtype: of the computation; statistics and softmax stay in float32.
        param_dtype: of the parameters.
        remat: recompute each block in the backward pass instead of keeping its activations.
        rngs: random streams of the initialisation.
    """

    def __init__(
        self,
        *,
        vocabulary: int = 49408,
        tokens: int = 77,
        features: int = 768,
        depth: int = 12,
        heads: int = 12,
        hidden: int = 3072,
        activation: Literal["gelu", "gelu_tanh", "gelu_sigmoid"] = "gelu_sigmoid",
        projection: int | None = None,
        end: int | None = None,
        eps: float = 1e-5,
        dtype: jnp.dtype = jnp.float32,
        param_dtype: jnp.dtype = jnp.float32,
        remat: bool = False,
        rngs: nnx.Rngs,
    ):
        layer: Layer = {"param_dtype": param_dtype, "rngs": rngs}
        self.depth, self.end, self.dtype = depth, end, jnp.dtype(dtype)
        self.embedding = TokenTable(vocabulary, features, std=0.02, **layer)
        first = jax.nn.initializers.normal(0.01)
        self.positions = nnx.Param(first(rngs.params(), (tokens, features), param_dtype))

        def block(rngs: nnx.Rngs) -> CLIPBlock:
            options = {"activation": activation, "eps": eps, "param_dtype": param_dtype}
            return CLIPBlock(features, heads, hidden, **options, rngs=rngs)

        self.blocks = Stacked(block, depth, remat=remat, rngs=rngs)
        self.norm = TokenNorm(features, affine=True, eps=eps, param_dtype=param_dtype)
        self.projection = (
            None if projection is None else Dense(features, projection, bias=False, **layer)
        )

    def __call__(self, ids: jax.Array, *, skip: int = 0) -> Encoded:
        """Encode texts.

        Args:
            ids: with those of start, end and padding, int [batch, n], n at most `tokens`.
            skip: blocks at the end that `last` leaves out ("clip skip"); `pooled` does not.

        Raises:
            ValueError: a text is too long, or there are not so many blocks.
        """
        length, most = ids.shape[1], self.positions.shape[0]
        if length > most:
            raise ValueError(f"a text of {length} tokens is too long: this encoder takes {most}")
        if not 0 <= skip <= self.depth:
            raise ValueError(f"clip_skip={skip}: this encoder has {self.depth} layers")
        before = jnp.tril(jnp.ones((1, 1, length, length), bool))
        causal = jnp.where(before, 0.0, -jnp.inf)
        h = self.embedding(ids) + self.positions[:length][None]
        first = h.astype(self.dtype)

        def step(block: CLIPBlock, h: jax.Array, _: None, key: None) -> tuple[jax.Array, jax.Array]:
            h = block(h, causal)
            return h, h

        h, states = self.blocks.scan(step, first, None)
        states = jnp.concatenate([first[None], states])
        last = self.norm(h)
        ends = jnp.argmax(ids if self.end is None else ids == self.end, axis=1)
        pooled = jnp.take_along_axis(last, ends[:, None, None], axis=1)[:, 0]
        if self.projection is not None:
            pooled = self.projection(pooled)
        return Encoded(states, self.norm(states[self.depth - skip]) if skip else last, pooled)
