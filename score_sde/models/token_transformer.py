r"""A bidirectional transformer of tokens, some of which are masked: BERT's task, LLaMA's blocks.

    h <- table[tokens] + embeddings of what is told
    h <- h + attention(norm(h)),    h <- h + layers(norm(h))            in each block          (1)
    logits = W norm(h)

Each token attends to all others, at positions that turn queries and keys (Su et al. 2021, arXiv
2104.09864); norms are by the mean square alone, layers are SwiGLU, and nothing has a bias. It is
the network of LLaDA (Nie et al. 2025, arXiv 2502.09992), whose 8B model has 126,464 rows, 32 blocks
of 4,096 features in 32 heads, and 12,288 hidden ones. With norm="layer", feed_forward="gelu_tanh"
and biased=True it is that of MDLM (Sahoo et al. 2024, arXiv 2406.07524): without time, what that
modulates its blocks with does not change, and is in its norms and layers; with timed=True and
modulated, c = swish(embedding of the noise level) modulates each block as DiT's,

    h <- h + g_1(c) attention((1 + s_1(c)) norm(h) + b_1(c)),    likewise the layers.         (2)

The mask is the row after the tokens; its own logit is computed, as in released models, and left
out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import jax
import jax.numpy as jnp
from flax import nnx

from score_sde.checks import check_count, present
from score_sde.models import arguments, placing, sizes, tokens
from score_sde.models.arguments import Given
from score_sde.models.conditions.combined import (
    NO_CONDITIONS,
    MakeEmbedding,
    check_told,
    make_embeddings,
    total,
)
from score_sde.models.embeddings import TimestepEmbedding
from score_sde.models.layers import Dense, Layer
from score_sde.models.shapes import check_state
from score_sde.models.spread import spread
from score_sde.models.stacked import Stacked
from score_sde.models.transformer import FeedForward, SelfAttention, TokenNorm, modulate
from score_sde.values import Positive, between


class TokenBlock(nnx.Module):
    """The second line of (1), or (2).

    Args:
        channels: features of a token.
        heads: of attention.
        hidden: see FeedForward; feed_forward is its kind.
        feed_forward: what is between the two layers of each token alone.
        norm: see TokenNorm; biased: see TokenTransformer.
        eps: what norms add to the mean square.
        told: features of c; 0 for (1).
        param_dtype: dtype of the parameters.
        rngs: random streams of the initialisation.
    """

    def __init__(
        self,
        channels: int,
        heads: int,
        *,
        hidden: int,
        feed_forward: Literal["swiglu", "gelu_tanh"],
        norm: Literal["rms", "layer"],
        biased: bool,
        eps: float,
        told: int,
        param_dtype: jnp.dtype,
        rngs: nnx.Rngs,
    ):
        layer: Layer = {"param_dtype": param_dtype, "rngs": rngs}
        self.norm_0, self.norm_1 = (
            TokenNorm(channels, kind=norm, affine=True, eps=eps, param_dtype=param_dtype)
            for _ in range(2)
        )
        self.attention = SelfAttention(channels, heads, bias=False, out_bias=False, **layer)
        self.feed_forward = FeedForward(channels, hidden, kind=feed_forward, bias=biased, **layer)
        self.modulation = Dense(told, 6 * channels, scale=0, **layer) if told else None

    def __call__(self, h: jax.Array, angles: jax.Array, c: jax.Array | None = None) -> jax.Array:
        """[batch, tokens, channels] to the same; angles as of SelfAttention, c [batch, told]."""
        if self.modulation is None:
            h = h + self.attention(self.norm_0(h), angles)
            return h + self.feed_forward(self.norm_1(h))
        b_1, s_1, g_1, b_2, s_2, g_2 = jnp.split(
            self.modulation(present("c", c))[:, None], 6, axis=-1
        )
        h = h + spread(g_1, h) * self.attention(modulate(self.norm_0(h), b_1, s_1), angles)
        return h + spread(g_2, h) * self.feed_forward(modulate(self.norm_1(h), b_2, s_2))


class TokenTransformer(nnx.Module):
    """Equation (1).

    Args:
        shape: of the data, (length,); shorter and longer texts go through it too.
        vocabulary: V, tokens that there are beside the mask.
        rows: of the table, and logits that are computed, at least V + 1; 0 for that. Released
          models have some that no token is of.
        channels: features of a token, a multiple of 2 heads.
        depth: number of blocks.
        heads: of attention.
        mlp_ratio: size of the hidden layer of each block, as a multiple of channels; of "swiglu"
          two thirds of that, see transformer.FeedForward.
        feed_forward: what is between the two layers of each token alone, see FeedForward.
        norm: "rms", by the mean square alone, or "layer", see TokenNorm.
        biased: whether the layers of each token alone, and the last one, have biases.
        norm_eps: what norms add to the mean square.
        rope_base: of rotary positions, see tokens.line_angles: the larger, the longer the texts
          they tell apart.
        absolute: whether a token is told its place too, by a learned embedding that is added
          (Devlin et al. 2018, arXiv 1810.04805). Rotary positions say how far tokens are from each
          other, and where all are masked nothing: not which voice of a chord a token is, nor where
          a word begins.
        timed: whether the network is told noise_label; what it is to find does not depend on it.
        modulated: where it is told, features of c in equation (2); 0: it is added to the tokens.
        conditions: what makes the embedding of each condition, by name; see conditions.combined.
        dtype: of the computation; statistics, softmax and output stay in float32.
        param_dtype: of the parameters.
        remat: recompute each block in the backward pass instead of keeping its activations.
        rngs: random streams `params` and `constants` of the initialisation. None is kept.

    Raises:
        ValueError: an option that cannot work.
    """

    def __init__(
        self,
        *,
        shape: Given[Sequence[int]] = (1024,),
        vocabulary: Given[int] = 256,
        rows: sizes.Rows = 0,
        channels: arguments.Width = 512,
        depth: Annotated[int, between(1, 1024)] = 8,
        heads: Annotated[int, between(1, 2**16)] = 8,
        mlp_ratio: sizes.Ratio = 4.0,
        feed_forward: Literal["swiglu", "gelu_tanh"] = "swiglu",
        norm: Literal["rms", "layer"] = "rms",
        biased: bool = False,
        norm_eps: Positive = 1e-6,
        rope_base: Positive = 1e4,
        absolute: bool = False,
        timed: bool = False,
        modulated: Annotated[int, between(0, 2**16)] = 0,
        conditions: Given[Mapping[str, MakeEmbedding]] = NO_CONDITIONS,
        dtype: jnp.dtype = jnp.float32,
        param_dtype: Given[jnp.dtype] = jnp.float32,
        remat: bool = False,
        rngs: Given[nnx.Rngs],
    ):
        arguments.check(TokenTransformer, locals())
        if len(shape) != 1:
            raise ValueError(f"this network is for tokens, (length,), not for {tuple(shape)}")
        check_count("the length", shape[0])
        if channels % (2 * heads):
            raise ValueError(f"channels={channels} must be a multiple of 2 heads={2 * heads}")
        self.shape, self.vocabulary, self.dtype = tuple(shape), vocabulary, jnp.dtype(dtype)
        rows = rows or vocabulary + 1
        if rows <= vocabulary:
            raise ValueError(f"rows={rows}: {vocabulary} tokens and the mask have more")
        self.head_features, self.rope_base = channels // heads, rope_base

        layer: Layer = {"param_dtype": param_dtype, "rngs": rngs}
        first = jax.nn.initializers.normal(0.02)
        table = first(rngs.params(), (rows, channels), param_dtype)
        self.table = nnx.Param(table, **placing.metadata(cast=True))
        places = first(rngs.params(), (*self.shape, channels), param_dtype) if absolute else None
        self.places = nnx.Param(places, **placing.metadata(cast=True)) if absolute else None
        if modulated and not timed:
            raise ValueError(
                f"modulated={modulated} is of a network that is told a time: timed=True"
            )
        self.noise_embedding = TimestepEmbedding(modulated or channels, **layer) if timed else None
        self.conditions = make_embeddings(conditions, channels, **layer)
        self.blocks = Stacked(
            lambda rngs: TokenBlock(
                channels,
                heads,
                hidden=round(channels * mlp_ratio),
                feed_forward=feed_forward,
                norm=norm,
                biased=biased,
                eps=norm_eps,
                told=modulated,
                param_dtype=param_dtype,
                rngs=rngs,
            ),
            depth,
            remat=remat,
            rngs=rngs,
        )
        self.norm = TokenNorm(
            channels, kind=norm, affine=True, eps=norm_eps, param_dtype=param_dtype
        )
        self.modulation = Dense(modulated, 2 * channels, scale=0, **layer) if modulated else None
        self.dense_out = Dense(channels, rows, bias=biased, **layer)

    def __call__(
        self,
        x: jax.Array,
        noise_label: jax.Array,
        cond: Mapping[str, jax.Array] | None = None,
        *,
        key: jax.Array | None = None,
    ) -> jax.Array:
        """The logits of the tokens.

        Args:
            x: tokens, int [batch, length]; a negative one is the mask.
            noise_label: noise level of each, [batch], at most about 1000: 999 t.
            cond: conditions by name, [batch, ...] each, see conditions.combined; None for none.
            key: JAX random key of conditions; None for none.

        Returns:
            [batch, length, V], float32.

        Raises:
            ValueError: x is not of the network's shape, or cond has what it is not told.
        """
        check_state(x, self.shape)
        rows = jnp.where(x < 0, self.vocabulary, x)
        table = placing.used(self.table, self.dtype)
        h = table.at[rows].get(mode="fill", fill_value=jnp.nan)
        if self.places is not None:
            h = h + placing.used(self.places, self.dtype)[None]
        told, c = self._told(noise_label, cond, len(x), key)
        c = None if c is None else c.astype(h.dtype)
        h = h if told is None else h + spread(told.astype(h.dtype)[:, None], h)
        angles = tokens.line_angles(x.shape[1], self.head_features, self.rope_base, jnp.float32)
        h, _ = self.blocks.scan(lambda block, h, *_: (block(h, angles, c), None), h, None)
        h = self.norm(h)
        if self.modulation is not None:
            h = modulate(h, *jnp.split(self.modulation(present("c", c))[:, None], 2, axis=-1))
        return self.dense_out(h).astype(jnp.float32)[..., : self.vocabulary]

    def _told(
        self,
        noise_label: jax.Array,
        cond: Mapping[str, jax.Array] | None,
        batch: int,
        key: jax.Array | None,
    ) -> tuple[jax.Array | None, jax.Array | None]:
        """What is added to every token, [batch, channels], and c; None for nothing."""
        parts: list[jax.Array] = []
        c = None
        if self.noise_embedding is not None:
            noise = self.noise_embedding(noise_label.astype(jnp.float32))
            if self.modulation is None:
                parts.append(noise)
            else:
                c = jax.nn.silu(noise)
        if self.conditions is None:
            check_told(cond, ())
        else:
            parts.append(self.conditions(cond, batch, key))
        return total(parts) if parts else None, c
