"""The transformer of Flux: joint blocks of text and patches, then blocks of both as one sequence.

There is no paper of it; it is MMDiT (see joint and mmdit) with rotary positions for the fixed ones
(see tokens.axes_angles) and, after the joint blocks, single ones, in which attention and layers
stand side by side (Dehghani et al. 2023, arXiv 2302.05442, Section 2.1): of all tokens u = [c, h],

    v = (1 + s) * norm(u) + b
    u <- u + g * W [attention(v), gelu(W v)].                                              (1)

A network that was distilled with guidance is told its scale, embedded as the noise level is.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated

import jax
import jax.numpy as jnp
from flax import nnx

from score_sde.models import arguments, sizes, tokens
from score_sde.models.arguments import Given
from score_sde.models.attention import attend
from score_sde.models.conditions.combined import (
    NO_CONDITIONS,
    MakeEmbedding,
    refuse_conditions,
)
from score_sde.models.conditions.given import given
from score_sde.models.embeddings import TimestepEmbedding, TwoLayers
from score_sde.models.joint import JointBlock, seen
from score_sde.models.layers import Dense, Layer
from score_sde.models.shapes import image_shape
from score_sde.models.spread import spread
from score_sde.models.stacked import Stacked
from score_sde.models.transformer import SelfAttention, TokenNorm, modulate
from score_sde.values import Count, Length, between

Depth = Annotated[int, between(1, 1024)]
Axes = Annotated[Sequence[Annotated[int, between(0, 2**16)]], Length(3, 3)]


class SingleBlock(nnx.Module):
    """Equation (1).

    Args:
        channels: features of a token.
        heads: of attention.
        hidden: size of the layer beside the attention.
        param_dtype: dtype of the parameters.
        rngs: random streams of the initialisation.
    """

    def __init__(
        self, channels: int, heads: int, *, hidden: int, param_dtype: jnp.dtype, rngs: nnx.Rngs
    ):
        layer: Layer = {"param_dtype": param_dtype, "rngs": rngs}
        self.modulation = Dense(channels, 3 * channels, scale=0, **layer)
        self.norm = TokenNorm(channels, affine=False, param_dtype=param_dtype)
        self.attention = SelfAttention(
            channels, heads, out=False, qk_norm=True, adjacent=True, **layer
        )
        self.dense_in = Dense(channels, hidden, **layer)
        self.dense_out = Dense(channels + hidden, channels, **layer)

    def __call__(
        self, u: jax.Array, told: jax.Array, mask: jax.Array | None, angles: jax.Array
    ) -> jax.Array:
        """One block.

        Args:
            u: [batch, tokens, channels].
            told: [batch, channels], after its swish.
            mask: bool [batch, tokens], which are seen; None for all.
            angles: of rotary positions, see SelfAttention.
        """
        b, s, g = jnp.split(self.modulation(told)[:, None], 3, axis=-1)
        v = modulate(self.norm(u), b, s)
        attended = self.attention.join(attend(*self.attention.split(v, angles), mask))
        both = jnp.concatenate([attended, jax.nn.gelu(self.dense_in(v))], axis=-1)
        return u + spread(g, u) * self.dense_out(both)


class Flux(nnx.Module):
    """Flux's transformer, for images of any size that the patch divides.

    Args:
        shape: of the data, (height, width, channels).
        channels_in: channels of x, if what the network is to see beside the data, such as a mask,
          stands behind these; 0: the data's.
        patch: side of a patch in pixels.
        depth: number of joint blocks.
        single_depth: number of single blocks.
        heads: of attention.
        axes: features of a head, even numbers, for each axis of positions: of an image among
          several, of which there is one; of rows; of columns.
        mlp_ratio: size of the hidden layer of each block, as a multiple of the features.
        guidance: whether the network is told a scale of guidance.
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
        channels_in: sizes.Own = 0,
        patch: Annotated[int, between(1, 64)] = 2,
        depth: Depth = 19,
        single_depth: Depth = 38,
        heads: Annotated[int, between(1, 2**16)] = 24,
        axes: Axes = (16, 56, 56),
        mlp_ratio: sizes.Ratio = 4.0,
        guidance: bool = True,
        text_features: Count = 4096,
        pooled_features: Count = 768,
        conditions: Given[Mapping[str, MakeEmbedding]] = NO_CONDITIONS,
        dtype: jnp.dtype = jnp.float32,
        param_dtype: Given[jnp.dtype] = jnp.float32,
        remat: bool = False,
        rngs: Given[nnx.Rngs],
    ):
        arguments.check(Flux, locals())
        refuse_conditions(conditions)
        self.shape, self.patch = image_shape(shape, 0), patch
        tokens.grid(self.shape, patch)
        if any(n % 2 for n in axes) or not sum(axes):
            raise ValueError(f"axes={tuple(axes)} must be even numbers, not all 0")
        self.axes, self.channels_in = tuple(axes), channels_in or self.shape[-1]
        self.dtype = jnp.dtype(dtype)
        self.told_of = {"text": (None, text_features), "pooled": (pooled_features,)}
        self.told_of |= {"guidance": ()} if guidance else {}

        layer: Layer = {"param_dtype": param_dtype, "rngs": rngs}
        width, pixels = heads * sum(axes), patch**2
        hidden = round(width * mlp_ratio)
        self.noise_embedding = TimestepEmbedding(width, **layer)
        self.guidance_embedding = TimestepEmbedding(width, **layer) if guidance else None
        self.pooled_embedding = TwoLayers(pooled_features, width, kind="swish", **layer)
        self.text_in = Dense(text_features, width, **layer)
        self.dense_in = Dense(pixels * self.channels_in, width, **layer)

        def joint(rngs: nnx.Rngs) -> JointBlock:
            own = {"hidden": hidden, "qk_norm": True, "adjacent": True}
            return JointBlock(width, heads, **own, param_dtype=param_dtype, rngs=rngs)

        def single(rngs: nnx.Rngs) -> SingleBlock:
            return SingleBlock(width, heads, hidden=hidden, param_dtype=param_dtype, rngs=rngs)

        self.joint = Stacked(joint, depth, remat=remat, rngs=rngs)
        self.single = Stacked(single, single_depth, remat=remat, rngs=rngs)
        self.norm = TokenNorm(width, affine=False, param_dtype=param_dtype)
        self.modulation = Dense(width, 2 * width, scale=0, **layer)
        self.dense_out = Dense(width, pixels * self.shape[-1], scale=0, **layer)

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
            noise_label: noise level of each, [batch], 0 to 1: t of rectified flow, which is its
                sigma.
            cond: "text", tokens of the text [batch, n, text_features]; "pooled", the text as one
                vector [batch, pooled_features]; "guidance", its scale [batch], with the option
                guidance; and "text_mask" [batch, n], 0 for each token that is not seen, if some
                are not: Flux sees all.
            key: unused: nothing here is random.

        Returns:
            [batch, height, width, the data's channels], in float32 (float64 for float64).

        Raises:
            ValueError: x has other channels, or the patch does not divide it; or see
                conditions.given.
        """
        if x.ndim != 4 or x.shape[-1] != self.channels_in:
            raise ValueError(
                f"x is {x.shape}; this network is for images of {self.channels_in} channels"
            )
        rows, columns = tokens.grid(x.shape[1:], self.patch)
        found = given(cond, len(x), self.told_of, {"text_mask": (None,)})
        wide = jnp.promote_types(x.dtype, jnp.float32)
        compute = wide if wide == jnp.float64 else self.dtype
        told = self._told(noise_label.astype(wide), found, wide).astype(compute)
        text = self.text_in(found["text"].astype(compute))
        h = self.dense_in(tokens.patchify(x.astype(compute), self.patch))
        angles = tokens.axes_angles(rows, columns, self.axes, wide)
        h = self._blocks(text, h, told, seen(found["text_mask"], h.shape[1]), angles)
        shift, scale = jnp.split(self.modulation(told)[:, None], 2, axis=-1)
        out = self.dense_out(modulate(self.norm(h), shift, scale)).astype(wide)
        return tokens.unpatchify(out, rows, columns, self.patch)

    def _told(
        self, time: jax.Array, found: Mapping[str, jax.Array | None], wide: jnp.dtype
    ) -> jax.Array:
        """What the blocks are told, [batch, channels], after its swish."""
        told = self.noise_embedding(1000 * time)
        if self.guidance_embedding is not None:
            told = told + self.guidance_embedding(1000 * found["guidance"].astype(wide))
        return jax.nn.silu(told + self.pooled_embedding(found["pooled"].astype(wide)))

    def _blocks(
        self,
        text: jax.Array,
        h: jax.Array,
        told: jax.Array,
        mask: jax.Array | None,
        angles: jax.Array,
    ) -> jax.Array:
        """The patches after all blocks."""
        (text, h), _ = self.joint.scan(
            lambda block, both, *_: (block(*both, told, mask=mask, angles=angles), None),
            (text, h),
            None,
        )
        n = text.shape[1]
        everywhere = jnp.pad(angles, ((n, 0), (0, 0)))  # the text is nowhere: it is not turned
        u, _ = self.single.scan(
            lambda block, u, *_: (block(u, told, mask, everywhere), None),
            jnp.concatenate([text, h], axis=1),
            None,
        )
        return u[:, n:]
