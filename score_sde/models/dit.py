"""The diffusion transformer DiT (Peebles and Xie 2022, arXiv 2212.09748), which SiT has too.

An image is a sequence of patches. With c the swish of what is told, the embedding of the noise
level and those of the conditions,

    h = W patches(x) + p,                       p fixed positions, see tokens.sine_cosine
    h <- h + g_1 * attention((1 + s_1) * norm(h) + b_1)
    h <- h + g_2 * layers((1 + s_2) * norm(h) + b_2)        in each block                  (1)
    out = W ((1 + s) * norm(h) + b),

where norm learns nothing, and a dense layer of c gives each block its b_1, s_1, g_1, b_2, s_2, g_2
and the last layer its b, s. These layers and the last one start near zero, so that each block is
nearly the identity ("adaLN-zero") and the network the zero function. Each block may have
embeddings of its own, and so a c; the last layer's is then that of the first block.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal, Protocol

import jax
import jax.numpy as jnp
from flax import nnx

from score_sde.checks import present
from score_sde.models import arguments, beside, sizes, tokens
from score_sde.models.arguments import Given
from score_sde.models.beside import Beside
from score_sde.models.conditions.combined import (
    NO_CONDITIONS,
    MakeEmbedding,
    check_told,
    make_embeddings,
)
from score_sde.models.embeddings import TimestepEmbedding
from score_sde.models.layers import Constant, Dense, Layer, dropout
from score_sde.models.shapes import check_state, image_shape
from score_sde.models.sizes import Published
from score_sde.models.spread import spread
from score_sde.models.stacked import Stacked
from score_sde.models.transformer import FeedForward, SelfAttention, TokenNorm, modulate
from score_sde.values import Positive, Share, between, one_of

# Table 1 of the paper.
SIZES = {
    "S": Published(384, 12, 6),
    "B": Published(768, 12, 12),
    "L": Published(1024, 24, 16),
    "XL": Published(1152, 28, 16),
}
WORDS = sizes.words(SIZES, (2, 4, 8))


class Told(nnx.Module):
    """Embeddings of the noise level and of the conditions.

    Args:
        channels: features of the embedding.
        conditions: see DiT; closed too.
        param_dtype: dtype of the parameters.
        rngs: random streams of the initialisation.
    """

    def __init__(
        self,
        channels: int,
        conditions: Mapping[str, MakeEmbedding],
        *,
        closed: bool,
        param_dtype: jnp.dtype,
        rngs: nnx.Rngs,
    ):
        layer: Layer = {"param_dtype": param_dtype, "rngs": rngs}
        self.noise_embedding = TimestepEmbedding(channels, closed=closed, **layer)
        self.conditions = make_embeddings(conditions, channels, **layer)


class Telling(Protocol):
    """What has the embeddings of a Told."""

    noise_embedding: Any
    conditions: Any


def told(
    by: Telling,
    noise_label: jax.Array,
    cond: Mapping[str, jax.Array] | None,
    key: jax.Array | None,
) -> jax.Array:
    """c of equation (1), [batch, channels].

    Args:
        by: what has the embeddings, a DiT or Told.
        noise_label: [batch].
        cond: conditions by name; None for none.
        key: of their dropout; None for none.
    """
    found: jax.Array = by.noise_embedding(noise_label)
    if by.conditions is None:
        check_told(cond, ())
    else:
        found = found + by.conditions(cond, len(noise_label), key)
    return jax.nn.silu(found)


class DiTBlock(nnx.Module):
    """Equation (1).

    Args:
        channels: features of a token.
        heads: of attention.
        mlp_ratio: see DiT; feed_forward, norm, qk_norm and layers_eps too.
        dropout_rate: in [0, 1).
        embeddings: makes the embeddings of what is told; None where the block is told c.
        param_dtype: dtype of the parameters.
        rngs: random streams of the initialisation.
    """

    def __init__(
        self,
        channels: int,
        heads: int,
        *,
        mlp_ratio: float,
        feed_forward: Literal["gelu_tanh", "swiglu"],
        norm: Literal["layer", "rms"],
        qk_norm: bool,
        layers_eps: float,
        dropout_rate: float,
        embeddings: Callable[..., Told] | None,
        param_dtype: jnp.dtype,
        rngs: nnx.Rngs,
    ):
        layer: Layer = {"param_dtype": param_dtype, "rngs": rngs}
        normal = functools.partial(
            TokenNorm, channels, kind=norm, affine=False, param_dtype=param_dtype
        )
        self.told = None if embeddings is None else embeddings(**layer)
        self.norm_0 = normal()
        self.norm_1 = normal(eps=layers_eps)
        self.attention = SelfAttention(channels, heads, qk_norm=qk_norm, **layer)
        hidden = round(channels * mlp_ratio)
        self.feed_forward = FeedForward(channels, hidden, kind=feed_forward, **layer)
        self.modulation = Dense(channels, 6 * channels, scale=0, **layer)
        self.dropout_rate = dropout_rate

    def __call__(
        self,
        h: jax.Array,
        told: jax.Array,
        angles: jax.Array | None,
        key: jax.Array | None,
        mask: jax.Array | None = None,
    ) -> jax.Array:
        """One block.

        Args:
            h: [batch, tokens, channels].
            told: [batch, channels], after its swish.
            angles: of rotary positions, see SelfAttention; None for none.
            key: for dropout; None for none.
            mask: bool [batch, tokens], which of them are seen; None for all.
        """
        b_1, s_1, g_1, b_2, s_2, g_2 = jnp.split(self.modulation(told)[:, None], 6, axis=-1)
        key_1, key_2 = (None, None) if key is None else jax.random.split(key)
        added = self.attention(modulate(self.norm_0(h), b_1, s_1), angles, mask=mask)
        h = h + spread(g_1, h) * dropout(added, self.dropout_rate, key_1)
        added = self.feed_forward(modulate(self.norm_1(h), b_2, s_2))
        return h + spread(g_2, h) * dropout(added, self.dropout_rate, key_2)


class DiT(nnx.Module):
    """The diffusion transformer, for images of any size that the patch divides.

    All dense layers start as the house's do, uniformly as DiT's blocks; its embeddings are
    published with a normal distribution of standard deviation 0.02.

    Args:
        shape: of the data, (height, width, channels).
        size: the published size and, after a /, the side of a patch in pixels.
        patch: side of a patch in pixels; 0: as size says.
        channels: features of a token, a multiple of 4 and of heads; 0: as size says.
        depth: number of blocks; 0: as size says.
        heads: of attention; 0: as size says.
        mlp_ratio: size of the hidden layer of each block, as a multiple of channels.
        feed_forward: what is between the two layers of each token alone, see FeedForward.
        norm: "layer" or "rms", see TokenNorm.
        qk_norm: normalise queries and keys, see SelfAttention.
        layers_eps: what the norm before the two layers of each block adds to the variance.
        own_embeddings: whether each block has embeddings of its own of all that is told.
        closed: frequencies of the noise level, see embeddings.cosines_first.
        rope: rotary positions on both axes in each attention, beside the fixed ones at first.
        registers: learned tokens that are no patches, for what belongs to the whole image
          (Darcet et al. 2023, arXiv 2309.16588).
        learn_variance: whether there are as many output channels again, of a variance; see
          prediction.with_variance.
        dropout: rate of the dropout of what attention and layers add in each block.
        centered: whether data are in [-1, 1]; else they are in [0, 1] and mapped to [-1, 1] first.
        conditions: what makes the embedding of each condition, by name; see conditions.combined.
          Images are seen beside the state, see models.beside.
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
        feed_forward: Literal["gelu_tanh", "swiglu"] = "gelu_tanh",
        norm: Literal["layer", "rms"] = "layer",
        qk_norm: bool = False,
        layers_eps: Positive = 1e-6,
        own_embeddings: bool = False,
        closed: bool = False,
        rope: bool = False,
        registers: Annotated[int, between(0, 1024)] = 0,
        learn_variance: Given[bool] = False,
        dropout: Share = 0.0,
        centered: Given[bool] = True,
        conditions: Given[Mapping[str, MakeEmbedding]] = NO_CONDITIONS,
        dtype: jnp.dtype = jnp.float32,
        param_dtype: Given[jnp.dtype] = jnp.float32,
        remat: bool = False,
        rngs: Given[nnx.Rngs],
    ):
        arguments.check(DiT, locals())
        self.shape = image_shape(shape, 0)
        own = {"channels": channels, "depth": depth, "heads": heads, "patch": patch}
        chosen = sizes.size(size, SIZES, **own)
        n_out = self.shape[-1] * (1 + learn_variance)
        channels, self.patch = chosen.channels, chosen.patch
        self.rows, self.columns = tokens.grid(self.shape, self.patch)
        if channels % 4:
            raise ValueError(f"channels={channels} must be a multiple of 4")
        self.head_features, self.rope = channels // chosen.heads, rope
        if rope and self.head_features % 4:
            raise ValueError(f"rope: {self.head_features} features a head are no multiple of 4")
        self.centered, self.dtype = centered, jnp.dtype(dtype)

        layer: Layer = {"param_dtype": param_dtype, "rngs": rngs}
        pixels = self.patch**2
        conditions, images = beside.apart(conditions)
        embeddings = functools.partial(Told, channels, conditions, closed=closed)
        shared = None if own_embeddings else embeddings(**layer)
        self.noise_embedding = shared and shared.noise_embedding
        self.conditions = shared and shared.conditions
        self.dense_in = Dense(pixels * self.shape[-1], channels, **layer)
        first = functools.partial(Dense, n_out=channels, bias=False, **layer)
        self.beside = self._beside(images, self.patch, first) if images else None
        self.positions = Constant(
            tokens.sine_cosine(self.rows, self.columns, channels, param_dtype)
        )
        drawn = jax.nn.initializers.normal(0.02)
        self.registers = (
            nnx.Param(drawn(rngs.params(), (registers, channels), param_dtype))
            if registers
            else None
        )
        self.blocks = Stacked(
            lambda rngs: self._block(
                channels,
                chosen.heads,
                mlp_ratio=mlp_ratio,
                feed_forward=feed_forward,
                norm=norm,
                qk_norm=qk_norm,
                layers_eps=layers_eps,
                dropout_rate=dropout,
                embeddings=embeddings if own_embeddings else None,
                param_dtype=param_dtype,
                rngs=rngs,
            ),
            chosen.depth,
            remat=remat,
            rngs=rngs,
        )
        self.norm = TokenNorm(channels, kind=norm, affine=False, param_dtype=param_dtype)
        self.modulation = Dense(channels, 2 * channels, scale=0, **layer)
        self.dense_out = Dense(channels, pixels * n_out, scale=0, **layer)

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
        keys = (None, None) if key is None else jax.random.split(key)
        cond, images = beside.values(cond, self.beside)
        seen = None
        if self.beside is not None:
            seen = self.beside(images, len(x), compute, keys[0])

        def c(by: Telling) -> jax.Array:
            return self._told(by, noise_label.astype(wide), cond, keys[0]).astype(compute)

        shared = None if self.noise_embedding is None else c(self)
        h, angles = self._tokens(x.astype(compute), seen)

        def step(
            block: DiTBlock, h: jax.Array, _: None, key: jax.Array | None
        ) -> tuple[jax.Array, jax.Array | None]:
            own = None if block.told is None else c(block.told)
            return block(h, present("c", shared if own is None else own), angles, key), own

        h, own = self.blocks.scan(step, h, keys[1])
        h = h[:, h.shape[1] - self.rows * self.columns :]
        last = self.modulation(present("c", shared if own is None else own[0]))
        shift, scale = jnp.split(last[:, None], 2, axis=-1)
        out = self.dense_out(modulate(self.norm(h), shift, scale)).astype(wide)
        return tokens.unpatchify(out, self.rows, self.columns, self.patch)

    def _block(self, channels: int, heads: int, **options: Any) -> DiTBlock:
        """One of the blocks."""
        return DiTBlock(channels, heads, **options)

    def _told(self, by: Telling, *args: Any) -> jax.Array:
        """c of each image, [batch, channels]; see `told`."""
        return told(by, *args)

    def _beside(self, *args: Any) -> Beside:
        """What is seen beside each image, of conditions, the patch and the first layer."""
        return Beside(self.shape[:2], 0, *args)

    def _tokens(self, x: jax.Array, seen: jax.Array | None) -> tuple[jax.Array, jax.Array | None]:
        """The tokens of images, registers before patches, and their rotary angles."""
        x = x if self.centered else 2 * x - 1
        h = self.dense_in(tokens.patchify(x, self.patch))
        if seen is not None:
            h = h + seen.reshape(h.shape)
        h = h + self.positions[...].astype(x.dtype)[None]
        n = 0
        if self.registers is not None:
            own = self.registers[...].astype(x.dtype)
            n = len(own)
            h = jnp.concatenate([jnp.broadcast_to(own[None], (len(x), *own.shape)), h], axis=1)
        if not self.rope:
            return h, None
        wide = jnp.promote_types(x.dtype, jnp.float32)
        angles = tokens.rotary_angles(self.rows, self.columns, self.head_features, wide)
        return h, jnp.pad(angles, ((n, 0), (0, 0)))  # registers are nowhere: they are not turned
