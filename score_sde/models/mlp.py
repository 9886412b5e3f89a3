"""A residual multilayer perceptron for vectors of any number of features.

It is the U-Net's order of things without space: h = W x + b at first, then blocks

    h <- h + W_1 swish(W_0 norm(h) + W_e e),                                               (1)

where e is the swish of the embedding of the noise level and the conditions, and norm the layer norm
of Ba et al. (2016, arXiv 1607.06450); at last W swish(norm(h)) + b. The blocks are the residual
blocks with the norm first of He et al. (2016, arXiv 1603.05027).
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import jax
import jax.numpy as jnp
from flax import nnx

from score_sde.checks import check_count, present
from score_sde.models import arguments
from score_sde.models.arguments import Given
from score_sde.models.conditions.combined import (
    NO_CONDITIONS,
    MakeEmbedding,
    check_told,
    make_embeddings,
)
from score_sde.models.embeddings import NoiseEmbedding, Powers, check_label, with_fourier_features
from score_sde.models.layers import Dense, GroupNorm, Layer, dropout
from score_sde.models.shapes import check_state
from score_sde.values import NotNegative, Positive, Share, between


class MLPBlock(nnx.Module):
    """Equation (1), with dropout before its last layer.

    Args:
        channels: features of input, output and embedding.
        told: whether there is an embedding.
        dropout_rate: in [0, 1).
        init_scale: of the last layer, see `init_kernel`.
        param_dtype: dtype of the parameters.
        rngs: random streams of the initialisation.
    """

    def __init__(
        self,
        channels: int,
        *,
        told: bool,
        dropout_rate: float,
        init_scale: float,
        param_dtype: jnp.dtype,
        rngs: nnx.Rngs,
    ):
        layer: Layer = {"param_dtype": param_dtype, "rngs": rngs}
        self.norm = GroupNorm(channels, group_size=channels, param_dtype=param_dtype)
        self.dense_0 = Dense(channels, channels, **layer)
        self.dense = Dense(channels, channels, **layer) if told else None
        self.dense_1 = Dense(channels, channels, scale=init_scale, **layer)
        self.dropout_rate = dropout_rate

    def __call__(
        self, x: jax.Array, embedding: jax.Array | None, key: jax.Array | None
    ) -> jax.Array:
        """One block.

        Args:
            x: [batch, channels].
            embedding: [batch, channels], after its swish; None without one.
            key: for dropout; None for none.
        """
        h = self.dense_0(self.norm(x))
        if self.dense is not None:
            h = h + self.dense(present("embedding", embedding))
        return x + self.dense_1(dropout(jax.nn.silu(h), self.dropout_rate, key))


class MLP(nnx.Module):
    """A network for vectors of any number of features; see equation (1).

    Args:
        shape: of the data, (d,).
        channels: features of every layer and of the embedding, a multiple of 4.
        depth: number of residual blocks.
        dropout: rate of the dropout in each block.
        embedding: of noise_label: "positional" is for labels from 0 to about 1000, "fourier" takes
          their logarithm and is for sigma.
        fourier_scale: standard deviation of the frequencies of embedding="fourier".
        fourier_features: powers n, for each of which sin and cos of 2^n pi x of each number x of
          the input stand beside it: without them a network is slow to learn what changes within a
          short way (Tancik et al. 2020, arXiv 2006.10739).
        conditional: whether the network is told noise_label.
        scale_by_sigma: divide the output by noise_label, which must then be sigma.
        init_scale: of the last layers, see layers.init_kernel; 0 starts near the zero function.
        noise_label: what of the time it is called with, a name in noise_labels.NOISE_LABELS, which
          is checked; None if that is not known.
        learn_variance: whether there are as many output channels again, of a variance; see
          prediction.with_variance.
        conditions: what makes the embedding of each condition, by name; see conditions.combined.
        dtype: of the computation; statistics and output stay in float32.
        param_dtype: of the parameters.
        rngs: random streams `params` and `constants` of the initialisation. None is kept.

    Raises:
        ValueError: an option that cannot work.
    """

    def __init__(
        self,
        *,
        shape: Given[Sequence[int]] = (2,),
        channels: Annotated[int, between(16, 2**20)] = 128,
        depth: Annotated[int, between(1, 1000)] = 4,
        dropout: Share = 0.0,
        embedding: Literal["positional", "fourier"] = "positional",
        fourier_scale: Positive = 1.0,
        fourier_features: Powers = (),
        conditional: bool = True,
        scale_by_sigma: bool = False,
        init_scale: NotNegative = 0.0,
        noise_label: Given[str | None] = None,
        learn_variance: Given[bool] = False,
        conditions: Given[Mapping[str, MakeEmbedding]] = NO_CONDITIONS,
        dtype: jnp.dtype = jnp.float32,
        param_dtype: Given[jnp.dtype] = jnp.float32,
        rngs: Given[nnx.Rngs],
    ):
        arguments.check(MLP, locals())
        if len(shape) != 1:
            raise ValueError(f"this network is for vectors, (d,), not for {tuple(shape)}")
        check_count("the number of features", shape[0])
        check_label(noise_label, embedding, conditional, scale_by_sigma)
        if learn_variance and scale_by_sigma:
            raise ValueError("a learned variance goes with scale_by_sigma=False")
        if channels % 4:
            raise ValueError(f"channels={channels} must be a multiple of 4")
        self.shape, self.dtype = tuple(shape), jnp.dtype(dtype)
        self.scale_by_sigma = scale_by_sigma

        layer: Layer = {"param_dtype": param_dtype, "rngs": rngs}
        # A noise embedding has four times as many features as it is asked for.
        self.noise_embedding = (
            NoiseEmbedding(channels // 4, kind=embedding, fourier_scale=fourier_scale, **layer)
            if conditional
            else None
        )
        self.conditions = make_embeddings(conditions, channels, **layer)
        self.fourier_features = tuple(fourier_features)
        self.dense_in = Dense(shape[0] * (1 + 2 * len(self.fourier_features)), channels, **layer)
        self.blocks = nnx.List(
            MLPBlock(
                channels,
                told=bool(conditional or conditions),
                dropout_rate=dropout,
                init_scale=init_scale,
                **layer,
            )
            for _ in range(depth)
        )
        self.norm = GroupNorm(channels, group_size=channels, param_dtype=param_dtype)
        outputs = shape[0] * (1 + learn_variance)
        self.dense_out = Dense(channels, outputs, scale=init_scale, **layer)

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
            x: noisy vectors, [batch, d]; float64 is kept.
            noise_label: noise level of each, [batch]: 999 t for VP SDEs, sigma(t) for VE SDEs.
            cond: conditions by name, [batch, ...] each, see conditions.combined; None for none.
            key: JAX random key of dropout, of features and of conditions; None for neither.

        Returns:
            The shape of x, in float32 (float64 for float64); twice the channels with
            learn_variance.

        Raises:
            ValueError: x is not of the network's shape, or cond has what it is not told.
        """
        check_state(x, self.shape)
        wide = jnp.promote_types(x.dtype, jnp.float32)
        compute = wide if wide == jnp.float64 else self.dtype
        parts = []
        if self.noise_embedding is not None:
            parts.append(self.noise_embedding(noise_label.astype(wide)))
        if self.conditions is None:
            check_told(cond, ())
        else:
            own_key = None if key is None else jax.random.fold_in(key, 0)
            parts.append(self.conditions(cond, len(x), own_key))
        embedding = jax.nn.silu(sum(parts)).astype(compute) if parts else None
        seen = with_fourier_features(x.astype(wide), self.fourier_features)
        h = self.dense_in(seen.astype(compute))
        for i, block in enumerate(self.blocks, 1):
            h = block(h, embedding, None if key is None else jax.random.fold_in(key, i))
        out = self.dense_out(jax.nn.silu(self.norm(h))).astype(wide)
        return out / noise_label.astype(wide)[:, None] if self.scale_by_sigma else out
