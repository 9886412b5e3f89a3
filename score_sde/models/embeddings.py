"""Embeddings of the noise level, and the features of a number that they are made of."""

import math
from collections.abc import Sequence
from typing import Annotated, Literal

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from score_sde.models.layers import Constant, Dense, Layer
from score_sde.values import Length, between

Powers = Annotated[Sequence[Annotated[int, between(-16, 16)]], Length(0, 17)]  # of Fourier features


def positional(label: jax.Array, features: int) -> jax.Array:
    """Sines and cosines at geometric frequencies (Vaswani et al. 2017, arXiv 1706.03762).

    Args:
        label: [batch], of the size of time steps: 0 to 999.
        features: size of the embedding; an odd one ends with a zero.

    Returns:
        [batch, features]: sines of label * 10000^(-i / (features // 2 - 1)), then cosines.
    """
    half = features // 2
    frequencies = jnp.exp(jnp.arange(half, dtype=label.dtype) * -(math.log(1e4) / (half - 1)))
    angles = label[:, None] * frequencies[None]
    both = jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], axis=-1)
    return jnp.pad(both, ((0, 0), (0, features - 2 * half)))


def cosines_first(label: jax.Array, features: int, closed: bool = False) -> jax.Array:
    """As `positional`, in the order and with the frequencies of guided-diffusion, DiT and U-ViT.

    Args:
        label: [batch].
        features: size of the embedding; an odd one ends with a zero.
        closed: the frequencies of `positional` instead.

    Returns:
        [batch, features]: cosines of label * 10000^(-i / (features // 2)), then sines.
    """
    half = features // 2
    # Rounded as in released networks, which see the last bit of a frequency of labels near 1000:
    # XLA would make one factor of the two, and has another exp for constants.
    wide = jnp.promote_types(label.dtype, jnp.float32).type
    exponents = np.arange(half, dtype=wide) * wide(-math.log(1e4)) / wide(half - closed)
    frequencies = jnp.exp(jax.lax.optimization_barrier(jnp.asarray(exponents)))
    angles = label[:, None] * frequencies[None]
    both = jnp.concatenate([jnp.cos(angles), jnp.sin(angles)], axis=-1)
    return jnp.pad(both, ((0, 0), (0, features - 2 * half)))


def fourier(label: jax.Array, frequencies: jax.Array) -> jax.Array:
    """Random Fourier features (Tancik et al. 2020, arXiv 2006.10739).

    Args:
        label: [batch].
        frequencies: [features / 2], in cycles per unit of the label.

    Returns:
        [batch, features]: sines, then cosines.
    """
    angles = label[:, None] * frequencies.astype(label.dtype)[None] * (2 * math.pi)
    return jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], axis=-1)


class TimestepEmbedding(nnx.Module):
    """256 cosines and sines of the noise label, then two dense layers with a swish between.

    Args:
        features: size of the embedding.
        closed: see cosines_first.
        param_dtype: dtype of the parameters.
        rngs: random streams of the initialisation.
    """

    FREQUENCIES = 256

    def __init__(
        self, features: int, *, closed: bool = False, param_dtype: jnp.dtype, rngs: nnx.Rngs
    ):
        layer: Layer = {"param_dtype": param_dtype, "rngs": rngs}
        self.closed = closed
        self.dense_0 = Dense(self.FREQUENCIES, features, **layer)
        self.dense_1 = Dense(features, features, **layer)

    def __call__(self, label: jax.Array) -> jax.Array:
        """[batch] to [batch, features], in the label's dtype."""
        waves = cosines_first(label, self.FREQUENCIES, self.closed)
        return self.dense_1(jax.nn.silu(self.dense_0(waves)))


class TwoLayers(nnx.Module):
    """Two dense layers on each vector, with a swish or the GELU's tanh form between.

    Args:
        n_in: features of the vectors.
        features: of the result, and between.
        kind: what is between.
        param_dtype: dtype of the parameters.
        rngs: random streams of the initialisation.
    """

    def __init__(
        self,
        n_in: int,
        features: int,
        *,
        kind: Literal["swish", "gelu_tanh"],
        param_dtype: jnp.dtype,
        rngs: nnx.Rngs,
    ):
        layer: Layer = {"param_dtype": param_dtype, "rngs": rngs}
        self.kind = kind
        self.dense_0 = Dense(n_in, features, **layer)
        self.dense_1 = Dense(features, features, **layer)

    def __call__(self, x: jax.Array) -> jax.Array:
        """[..., n_in] to [..., features]."""
        h = self.dense_0(x)
        return self.dense_1(jax.nn.silu(h) if self.kind == "swish" else jax.nn.gelu(h))


def with_fourier_features(x: jax.Array, powers: Sequence[int]) -> jax.Array:
    """A state with sines and cosines of its numbers beside them.

    Args:
        x: [batch, ..., channels].
        powers: n of each pair sin(2^n pi x), cos(2^n pi x).

    Returns:
        [batch, ..., channels (1 + 2 len(powers))]: x, all sines, all cosines.
    """
    if not powers:
        return x
    angles = [2**n * math.pi * x for n in powers]
    return jnp.concatenate([x, *map(jnp.sin, angles), *map(jnp.cos, angles)], axis=-1)


class NoiseEmbedding(nnx.Module):
    """Embedding of the noise level: fixed features, then two dense layers with a swish between.

    Args:
        channels: the network's base number of channels, as many as "positional" and
          "cosines_first" have features; the others have twice as many.
        kind: "positional" or "cosines_first" features of the label itself, "fourier" features of
          its logarithm, or "fourier_label" of itself.
        fourier_scale: standard deviation of the Fourier frequencies.
        multiple: features of the embedding as a multiple of `channels`.
        param_dtype: dtype of the parameters.
        rngs: random streams of the initialisation; Fourier frequencies come from the stream
          `constants`.
    """

    def __init__(
        self,
        channels: int,
        *,
        kind: Literal["positional", "cosines_first", "fourier", "fourier_label"],
        fourier_scale: float = 16.0,
        multiple: int = 4,
        param_dtype: jnp.dtype,
        rngs: nnx.Rngs,
    ):
        self.channels, self.kind = channels, kind
        self.frequencies = (
            Constant(jax.random.normal(rngs.constants(), (channels,), param_dtype) * fourier_scale)
            if kind in ("fourier", "fourier_label")
            else None
        )
        layer: Layer = {"param_dtype": param_dtype, "rngs": rngs}
        self.dense_0 = Dense(self.features, multiple * channels, **layer)
        self.dense_1 = Dense(multiple * channels, multiple * channels, **layer)

    @property
    def features(self) -> int:
        """Features before the dense layers."""
        return self.channels if self.frequencies is None else 2 * self.channels

    def __call__(self, label: jax.Array, early: jax.Array | None = None) -> jax.Array:
        """[batch] to [batch, multiple channels], in the label's dtype.

        Args:
            label: the noise level.
            early: added to its features, [batch, features]; None for nothing.
        """
        match self.kind:
            case "positional":
                features = positional(label, self.channels)
            case "cosines_first":
                features = cosines_first(label, self.channels)
            case "fourier":
                features = fourier(jnp.log(label), self.frequencies[...])
            case "fourier_label":
                features = fourier(label, self.frequencies[...])
        features = features if early is None else features + early.astype(features.dtype)
        return self.dense_1(jax.nn.silu(self.dense_0(features)))


def check_label(label: str | None, embedding: str, conditional: bool, scale_by_sigma: bool) -> None:
    """Raise ValueError if a network cannot work with what it is told of the time.

    Args:
        label: what it is called with, a name in noise_labels.NOISE_LABELS; None if not known.
        embedding: of the label, a kind of NoiseEmbedding.
        conditional: whether it embeds the label.
        scale_by_sigma: whether it divides its output by the label.
    """
    if scale_by_sigma and conditional and embedding == "positional":
        raise ValueError(
            "scale_by_sigma needs noise_label to be sigma, but embedding='positional' needs it "
            "to be a time step; use embedding='fourier', or divide the output outside"
        )
    if conditional and embedding == "fourier_label":
        if label not in (None, "log_sigma", "log_half_sigma"):
            raise ValueError(
                "embedding=fourier_label is of a logarithm itself: use noise_label=log_sigma or "
                "log_half_sigma"
            )
        if scale_by_sigma:
            raise ValueError("scale_by_sigma divides by the noise label: use embedding=fourier")
        return
    if label in (None, "sigma"):
        return
    if conditional and embedding == "fourier":
        raise ValueError("embedding=fourier is of the logarithm of sigma: use noise_label=sigma")
    if scale_by_sigma:
        raise ValueError("scale_by_sigma divides by the noise label: use noise_label=sigma")
