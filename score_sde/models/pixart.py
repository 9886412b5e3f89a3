"""PixArt (Chen et al. 2023, arXiv 2310.00426): a diffusion transformer that reads a text.

A block is DiT's (see dit) with attention to the text between, and all blocks share one dense layer
of what is told; each has only an offset of its own ("adaLN-single"):

    b_1, s_1, g_1, b_2, s_2, g_2 = W swish(y) + e,              e of the block
    h <- h + g_1 * attention((1 + s_1) * norm(h) + b_1)
    h <- h + cross_attention(h, layers(text))
    h <- h + g_2 * layers((1 + s_2) * norm(h) + b_2),                                      (1)

with y the embedding of the noise level and, for images of many sizes, of the size. Before the last
layer b, s = y + e. What attention to the text adds starts near zero, as the last layer does.
"""

from collections.abc import Mapping, Sequence
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
from score_sde.models.layers import Dense, Layer
from score_sde.models.shapes import image_shape
from score_sde.models.spread import spread
from score_sde.models.stacked import Stacked
from score_sde.models.transformer import (
    CrossAttention,
    FeedForward,
    SelfAttention,
    TokenNorm,
    modulate,
)
from score_sde.values import Count, Positive, between


class PixArtBlock(nnx.Module):
    """Equation (1).

    Args:
        channels: features of a token, of patches and of the text.
        heads: of attention.
        hidden: size of the hidden layer on each token alone.
        param_dtype: dtype of the parameters.
        rngs: random streams of the initialisation.
    """

    def __init__(
        self, channels: int, heads: int, *, hidden: int, param_dtype: jnp.dtype, rngs: nnx.Rngs
    ):
        layer: Layer = {"param_dtype": param_dtype, "rngs": rngs}
        self.norm_0, self.norm_1 = (
            TokenNorm(channels, affine=False, param_dtype=param_dtype) for _ in range(2)
        )
        self.attention = SelfAttention(channels, heads, **layer)
        self.cross_attention = CrossAttention(channels, channels, heads, scale=0, **layer)
        self.feed_forward = FeedForward(channels, hidden, kind="gelu_tanh", **layer)
        self.offset = _offset(6, channels, **layer)

    def __call__(
        self, h: jax.Array, told: jax.Array, text: jax.Array, mask: jax.Array | None
    ) -> jax.Array:
        """One block.

        Args:
            h: [batch, tokens, channels].
            told: [batch, 6, channels], what all blocks share.
            text: [batch, n, channels].
            mask: bool [batch, n], which of the text is seen; None for all.
        """
        parts = told + spread(self.offset[...][None], told)
        b_1, s_1, g_1, b_2, s_2, g_2 = jnp.split(parts, 6, axis=1)
        h = h + spread(g_1, h) * self.attention(modulate(self.norm_0(h), b_1, s_1))
        h = h + self.cross_attention(h, text, mask)
        return h + spread(g_2, h) * self.feed_forward(modulate(self.norm_1(h), b_2, s_2))


class PixArt(nnx.Module):
    """PixArt, for images of any size that the patch divides.

    Args:
        shape: of the data, (height, width, channels).
        patch: side of a patch in pixels.
        channels: features of a token, a multiple of 4 and of heads, and of 3 if sized.
        depth: number of blocks.
        heads: of attention.
        mlp_ratio: size of the hidden layer of each block, as a multiple of channels.
        span: how long the sides of an image are for its fixed positions, whatever the number of
          its patches; see tokens.sine_cosine.
        sized: whether the network is told the size of the image.
        text_features: features of a token of the text.
        learn_variance: whether there are as many output channels again, of a variance; see
          prediction.with_variance.
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
        shape: Given[Sequence[int]] = (128, 128, 4),
        patch: Annotated[int, between(1, 64)] = 2,
        channels: arguments.Width = 1152,
        depth: Annotated[int, between(1, 1024)] = 28,
        heads: Annotated[int, between(1, 2**16)] = 16,
        mlp_ratio: sizes.Ratio = 4.0,
        span: Positive = 32.0,
        sized: bool = True,
        text_features: Count = 4096,
        learn_variance: Given[bool] = False,
        conditions: Given[Mapping[str, MakeEmbedding]] = NO_CONDITIONS,
        dtype: jnp.dtype = jnp.float32,
        param_dtype: Given[jnp.dtype] = jnp.float32,
        remat: bool = False,
        rngs: Given[nnx.Rngs],
    ):
        arguments.check(PixArt, locals())
        refuse_conditions(conditions)
        self.shape, self.patch = image_shape(shape, 0), patch
        tokens.grid(self.shape, patch)
        for divisor, why in ((heads, f"of heads={heads}"), (4, "of 4"), (3, "of 3, with sized")):
            if channels % divisor and (sized or divisor != 3):
                raise ValueError(f"channels={channels} must be a multiple {why}")
        self.channels, self.span, self.dtype = channels, span, jnp.dtype(dtype)
        self.told_of = {"text": (None, text_features)} | ({"sizes": (3,)} if sized else {})

        layer: Layer = {"param_dtype": param_dtype, "rngs": rngs}
        pixels = patch**2 * self.shape[-1]
        self.noise_embedding = TimestepEmbedding(channels, **layer)
        self.size_embedding = TimestepEmbedding(channels // 3, **layer) if sized else None
        self.ratio_embedding = TimestepEmbedding(channels // 3, **layer) if sized else None
        self.modulation = Dense(channels, 6 * channels, **layer)
        self.text_in = TwoLayers(text_features, channels, kind="gelu_tanh", **layer)
        self.dense_in = Dense(pixels, channels, **layer)
        hidden = round(channels * mlp_ratio)
        self.blocks = Stacked(
            lambda rngs: PixArtBlock(
                channels, heads, hidden=hidden, param_dtype=param_dtype, rngs=rngs
            ),
            depth,
            remat=remat,
            rngs=rngs,
        )
        self.norm = TokenNorm(channels, affine=False, param_dtype=param_dtype)
        self.offset = _offset(2, channels, **layer)
        self.dense_out = Dense(channels, pixels * (1 + learn_variance), scale=0, **layer)

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
            x: noisy images, [batch, height, width, channels]; float64 is kept.
            noise_label: noise level of each, [batch], at most about 1000: 999 t.
            cond: "text", tokens of the text [batch, n, text_features]; "sizes", with that option,
                [batch, 3], height and width in pixels of what is decoded, and height over width;
                and "text_mask" [batch, n], 0 for each token that is not seen, if some are not.
            key: unused: nothing here is random.

        Returns:
            The shape of x, or twice its channels with learn_variance, in float32 (float64 for
            float64).

        Raises:
            ValueError: x has other channels, or the patch does not divide it; or see
                conditions.given.
        """
        if x.ndim != 4 or x.shape[-1] != self.shape[-1]:
            raise ValueError(
                f"x is {x.shape}; this network is for images of {self.shape[-1]} channels"
            )
        rows, columns = tokens.grid(x.shape[1:], self.patch)
        found = given(cond, len(x), self.told_of, {"text_mask": (None,)})
        wide = jnp.promote_types(x.dtype, jnp.float32)
        compute = wide if wide == jnp.float64 else self.dtype
        y = self._told(noise_label.astype(wide), found).astype(compute)
        told = self.modulation(jax.nn.silu(y)).reshape(len(x), 6, self.channels)
        text = self.text_in(found["text"].astype(compute))
        mask = None if found["text_mask"] is None else found["text_mask"] != 0
        h = self.dense_in(tokens.patchify(x.astype(compute), self.patch))
        h = h + tokens.sine_cosine(rows, columns, self.channels, compute, self.span)[None]
        h, _ = self.blocks.scan(lambda block, h, *_: (block(h, told, text, mask), None), h, None)
        shift, scale = jnp.split(y[:, None] + self.offset[...].astype(compute)[None], 2, axis=1)
        out = self.dense_out(modulate(self.norm(h), shift, scale)).astype(wide)
        return tokens.unpatchify(out, rows, columns, self.patch)

    def _told(self, noise_label: jax.Array, found: Mapping[str, jax.Array | None]) -> jax.Array:
        """y of equation (1), [batch, channels]: height, width and ratio are a third each."""
        y = self.noise_embedding(noise_label)
        if self.size_embedding is None:
            return y
        height, width, ratio = found["sizes"].astype(y.dtype).T
        of_sides = [self.size_embedding(side) for side in (height, width)]
        return y + jnp.concatenate([*of_sides, self.ratio_embedding(ratio)], axis=-1)


def _offset(n: int, channels: int, *, param_dtype: jnp.dtype, rngs: nnx.Rngs) -> nnx.Param:
    """e of equation (1), [n, channels]."""
    return nnx.Param(
        jax.nn.initializers.normal(channels**-0.5)(rngs.params(), (n, channels), param_dtype)
    )
