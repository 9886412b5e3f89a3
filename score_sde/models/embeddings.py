"""Embeddings of the noise level, and the features of a number that they are made of."""

import math
from typing import Literal

import jax
import jax.numpy as jnp
from flax import nnx

from score_sde.models.layers import Constant, Dense


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


class NoiseEmbedding(nnx.Module):
    """Embedding of the noise level: fixed features, then two dense layers with a swish between.

    Args:
        channels: the network's base number of channels; the embedding has four times as many.
        kind: "positional" features of the label itself, or "fourier" features of its logarithm.
        fourier_scale: standard deviation of the Fourier frequencies.
        param_dtype: dtype of the parameters.
        rngs: random streams of the initialisation; Fourier frequencies come from the stream
          `constants`.
    """

    def __init__(
        self,
        channels: int,
        *,
        kind: Literal["positional", "fourier"],
        fourier_scale: float,
        param_dtype: jnp.dtype,
        rngs: nnx.Rngs,
    ):
        features = channels if kind == "positional" else 2 * channels
        self.channels = channels
        self.frequencies = (
            Constant(jax.random.normal(rngs.constants(), (channels,), param_dtype) * fourier_scale)
            if kind == "fourier"
            else None
        )
        self.dense_0 = Dense(features, 4 * channels, param_dtype=param_dtype, rngs=rngs)
        self.dense_1 = Dense(4 * channels, 4 * channels, param_dtype=param_dtype, rngs=rngs)

    def __call__(self, label: jax.Array) -> jax.Array:
        """[batch] to [batch, 4 channels], in the label's dtype."""
        if self.frequencies is None:
            features = positional(label, self.channels)
        else:
            features = fourier(jnp.log(label), self.frequencies[...])
        return self.dense_1(jax.nn.silu(self.dense_0(features)))


def check_label(label: str | None, embedding: str, conditional: bool, scale_by_sigma: bool) -> None:
    """Raise ValueError if a network cannot work with what it is told of the time.

    Args:
        label: what it is called with, a name in prediction.NOISE_LABELS; None if not known.
        embedding: of the label, "positional" or "fourier".
        conditional: whether it embeds the label.
        scale_by_sigma: whether it divides its output by the label.
    """
    if scale_by_sigma and conditional and embedding == "positional":
        raise ValueError(
            "scale_by_sigma needs noise_label to be sigma, but embedding='positional' needs it "
            "to be a time step; use embedding='fourier', or divide the output outside"
        )
    if label in (None, "sigma"):
        return
    if conditional and embedding == "fourier":
        raise ValueError("embedding=fourier is of the logarithm of sigma: use noise_label=sigma")
    if scale_by_sigma:
        raise ValueError("scale_by_sigma divides by the noise label: use noise_label=sigma")
