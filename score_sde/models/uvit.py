"""U-ViT (Bao et al. 2022, arXiv 2209.12152): a transformer with the long skips of a U-Net.

What it is told are tokens before those of the patches: one for each condition and one for the noise
level, its cosines and sines. Of its 2 n + 1 blocks

    h <- h + attention(norm(h)),    h <- h + layers(norm(h)),                              (1)

the last n first join what the first n gave, the last one's first: h <- W [h, skip] + b. A 3x3
convolution smooths the image that the last layer puts together.
"""

import functools
from collections.abc import Mapping, Sequence
from typing import Annotated

import jax
import jax.numpy as jnp
from flax import nnx

from score_sde.checks import present
from score_sde.models import arguments, sizes, tokens
from score_sde.models.arguments import Given
from score_sde.models.conditions.combined import (
    NO_CONDITIONS,
    MakeEmbedding,
    check_told,
    embed_each,
    make_embeddings,
)
from score_sde.models.embeddings import cosines_first
from score_sde.models.layers import Conv, Dense, Layer, dropout
from score_sde.models.shapes import check_state, image_shape
from score_sde.models.sizes import Published
from score_sde.models.spread import spread
from score_sde.models.stacked import Stacked
from score_sde.models.transformer import FeedForward, SelfAttention, TokenNorm
from score_sde.values import Share, one_of

# Table 1 of the paper.
SIZES = {
    "S": Published(512, 13, 8),
    "S-deep": Published(512, 17, 8),
    "M": Published(768, 17, 12),
    "L": Published(1024, 21, 16),
    "H": Published(1152, 29, 16),
}
WORDS = sizes.words(SIZES, (2, 4))


class UViTBlock(nnx.Module):
    """Equation (1).

    Args:
        channels: features of a token.
        heads: of attention.
        mlp_ratio: see UViT.
        skip: whether it joins what another block gave.
        dropout_rate: in [0, 1).
        param_dtype: dtype of the parameters.
        rngs: random streams of the initialisation.
    """

    def __init__(
        self,
        channels: int,
        heads: int,
        *,
        mlp_ratio: float,
        skip: bool,
        dropout_rate: float,
        param_dtype: jnp.dtype,
        rngs: nnx.Rngs,
    ):
        layer: Layer = {"param_dtype": param_dtype, "rngs": rngs}
        normal = functools.partial(
            TokenNorm, channels, affine=True, eps=1e-5, param_dtype=param_dtype
        )
        self.join = Dense(2 * channels, channels, **layer) if skip else None
        self.norm_0, self.norm_1 = (normal() for _ in range(2))
        self.attention = SelfAttention(channels, heads, bias=False, **layer)
        hidden = round(channels * mlp_ratio)
        self.feed_forward = FeedForward(channels, hidden, kind="gelu", **layer)
        self.dropout_rate = dropout_rate

    def __call__(self, h: jax.Array, skip: jax.Array | None, key: jax.Array | None) -> jax.Array:
        """One block.

        Args:
            h: [batch, tokens, channels].
            skip: the same of an earlier block, for one that joins them.
            key: for dropout; None for none.
        """
        if self.join is not None:
            h = self.join(jnp.concatenate([h, present("skip", skip)], axis=-1))
        key_1, key_2 = (None, None) if key is None else jax.random.split(key)
        h = h + dropout(self.attention(self.norm_0(h)), self.dropout_rate, key_1)
        return h + dropout(self.feed_forward(self.norm_1(h)), self.dropout_rate, key_2)


class UViT(nnx.Module):
    """U-ViT, for images of any size that the patch divides.

    Args:
        shape: of the data, (height, width, channels).
        size: the published size and, after a /, the side of a patch in pixels.
        patch: side of a patch in pixels; 0: as size says.
        channels: features of a token, a multiple of heads; 0: as size says.
        depth: number of blocks, odd; 0: as size says.
        heads: of attention; 0: as size says.
        mlp_ratio: size of the hidden layer of each block, as a multiple of channels.
        final_conv: whether a convolution smooths the image at last; those of latents have none.
        learn_variance: whether there are as many output channels again, of a variance; see
          prediction.with_variance.
        dropout: rate of the dropout of what attention and layers add in each block.
        centered: whether data are in [-1, 1]; else they are in [0, 1] and mapped to [-1, 1] first.
        conditions: what makes the embedding of each condition, by name; see conditions.combined.
        dtype: of the computation; statistics, softmax and output stay in float32.
        param_dtype: of the parameters.
        remat: recompute each block in the backward pass instead of keeping its activations.
        rngs: random streams `params` and `constants` of the initialisation. None is kept.

    Raises:
        ValueError: an option that is unknown, or a patch that does not divide the image.
    """

    def __init__(
        self,
        *,
        shape: Given[Sequence[int]] = (32, 32, 3),
        size: Annotated[str, one_of(WORDS)] = "S/2",
        patch: sizes.Own = 0,
        channels: sizes.Own = 0,
        depth: sizes.Own = 0,
        heads: sizes.Own = 0,
        mlp_ratio: sizes.Ratio = 4.0,
        final_conv: bool = True,
        learn_variance: Given[bool] = False,
        dropout: Share = 0.0,
        centered: Given[bool] = True,
        conditions: Given[Mapping[str, MakeEmbedding]] = NO_CONDITIONS,
        dtype: jnp.dtype = jnp.float32,
        param_dtype: Given[jnp.dtype] = jnp.float32,
        remat: bool = False,
        rngs: Given[nnx.Rngs],
    ):
        arguments.check(UViT, locals())
        self.shape = image_shape(shape, 0)
        own = {"channels": channels, "depth": depth, "heads": heads, "patch": patch}
        chosen = sizes.size(size, SIZES, **own)
        n_out = self.shape[-1] * (1 + learn_variance)
        channels, self.patch = chosen.channels, chosen.patch
        self.rows, self.columns = tokens.grid(self.shape, self.patch)
        if chosen.depth % 2 == 0 or chosen.depth < 3:
            raise ValueError(f"depth={chosen.depth} must be odd and at least 3")
        self.channels, self.centered, self.dtype = channels, centered, jnp.dtype(dtype)

        layer: Layer = {"param_dtype": param_dtype, "rngs": rngs}
        pixels = self.patch**2
        self.conditions = make_embeddings(conditions, channels, **layer)
        self.dense_in = Dense(pixels * self.shape[-1], channels, **layer)
        told = 1 + len(conditions)
        self.positions = nnx.Param(
            jax.nn.initializers.normal(0.02)(
                rngs.params(), (told + self.rows * self.columns, channels), param_dtype
            )
        )

        def block(rngs: nnx.Rngs, skip: bool = False) -> UViTBlock:
            return UViTBlock(
                channels,
                chosen.heads,
                mlp_ratio=mlp_ratio,
                skip=skip,
                dropout_rate=dropout,
                param_dtype=param_dtype,
                rngs=rngs,
            )

        half = chosen.depth // 2
        self.down = Stacked(block, half, remat=remat, rngs=rngs)
        self.middle = block(rngs)
        self.up = Stacked(lambda rngs: block(rngs, skip=True), half, remat=remat, rngs=rngs)
        self.norm = TokenNorm(channels, affine=True, eps=1e-5, param_dtype=param_dtype)
        self.dense_out = Dense(channels, pixels * n_out, scale=0, **layer)
        self.conv_out = Conv(n_out, n_out, **layer) if final_conv else None

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
            cond: conditions by name, [batch, ...] each, see conditions.combined; None for none.
            key: JAX random key of dropout, of features and of conditions; None for neither.

        Returns:
            The shape of x, or twice its channels with learn_variance, in float32 (float64 for
            float64).

        Raises:
            ValueError: x is not of the network's shape, or cond has what it is not told.
        """
        check_state(x, self.shape)
        wide = jnp.promote_types(x.dtype, jnp.float32)
        compute = wide if wide == jnp.float64 else self.dtype
        keys = [None if key is None else jax.random.fold_in(key, i) for i in range(4)]
        told = self._told(noise_label.astype(wide), cond, keys[0])
        x = (x if self.centered else 2 * x - 1).astype(compute)
        patches = self.dense_in(tokens.patchify(x, self.patch))
        h = jnp.concatenate([*(token.astype(compute)[:, None] for token in told), patches], axis=1)
        h = h + spread(self.positions[...][None], h)

        def down(
            block: UViTBlock, h: jax.Array, _: None, key: jax.Array | None
        ) -> tuple[jax.Array, jax.Array]:
            h = block(h, None, key)
            return h, h

        h, skips = self.down.scan(down, h, keys[1])
        h = self.middle(h, None, keys[2])
        h, _ = self.up.scan(
            lambda block, h, skip, key: (block(h, skip, key), None), h, keys[3], skips[::-1]
        )
        out = self.dense_out(self.norm(h)[:, len(told) :]).astype(wide)
        out = tokens.unpatchify(out, self.rows, self.columns, self.patch)
        return out if self.conv_out is None else self.conv_out(out)

    def _told(
        self,
        noise_label: jax.Array,
        cond: Mapping[str, jax.Array] | None,
        key: jax.Array | None,
    ) -> list[jax.Array]:
        """What the network is told, a token [batch, channels] each; the noise level last."""
        noise = cosines_first(noise_label, self.channels)
        if self.conditions is None:
            check_told(cond, ())
            return [noise]
        return [*embed_each(self.conditions, cond, len(noise_label), key), noise]
