r"""Convolutions of sequences, [batch, frames, channels], as products of each frame's neighbours.

    y_t = b + sum_k x_(s t + d k - p) W_k                                                      (1)

has the frames that it sees side by side, [batch, frames, taps in], and one product with all of W.
So its derivatives are products too, which XLA compiles as well inside a loop as outside. What
spreads frames by a stride s is the transpose of (1) in W with 2 s taps: each frame gives 2 s of
them, of which every other half is added to the half before.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import nnx

from score_sde.models.layers import Dense, Layer, per_channel


class SequenceConv(nnx.Module):
    """Equation (1), padded with zeros.

    Args:
        n_in: channels of the input.
        n_out: channels of the output.
        taps: of the kernel.
        stride: s.
        dilation: d.
        padding: p, zeros before and after; None for so many that a stride of 1 keeps the length,
            of an odd number of taps.
        bias: whether there is b.
        scale: see layers.init_kernel.
        param_dtype: dtype of the parameters.
        rngs: random streams of the initialisation.
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        taps: int,
        *,
        stride: int = 1,
        dilation: int = 1,
        padding: int | None = None,
        bias: bool = True,
        scale: float = 1.0,
        param_dtype: jnp.dtype = jnp.float32,
        rngs: nnx.Rngs,
    ):
        self.taps, self.stride, self.dilation = taps, stride, dilation
        self.padding = (taps - 1) * dilation // 2 if padding is None else padding
        layer: Layer = {"param_dtype": param_dtype, "rngs": rngs}
        self.dense = Dense(taps * n_in, n_out, bias=bias, scale=scale, **layer)

    def __call__(self, x: jax.Array) -> jax.Array:
        """[batch, frames, n_in] to [batch, (frames + 2 p - d (taps - 1) - 1) // s + 1, n_out]."""
        padded = jnp.pad(x, [(0, 0), (self.padding, self.padding), (0, 0)])
        last = padded.shape[1] - self.dilation * (self.taps - 1)  # where the kernel fits
        seen = [
            padded[:, start : start + last : self.stride]
            for start in range(0, self.dilation * self.taps, self.dilation)
        ]
        return self.dense(jnp.concatenate(seen, axis=-1))


class SequenceSpread(nnx.Module):
    """The transpose of (1) with 2 s taps and p = ceil(s / 2), which gives s times as many frames.

    Args:
        n_in: channels of the input.
        n_out: channels of the output.
        stride: s.
        param_dtype: dtype of the parameters.
        rngs: random streams of the initialisation.
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        stride: int,
        *,
        param_dtype: jnp.dtype = jnp.float32,
        rngs: nnx.Rngs,
    ):
        self.stride = stride
        layer = {"bias": False, "param_dtype": param_dtype, "rngs": rngs}
        self.dense = Dense(n_in, 2 * stride * n_out, **layer)
        self.bias = nnx.Param(jnp.zeros(n_out, param_dtype))

    def __call__(self, x: jax.Array) -> jax.Array:
        """[batch, frames, n_in] to [batch, s frames, n_out]."""
        batch, frames, _ = x.shape
        first, second = jnp.split(self.dense(x), 2, axis=-1)
        after = jnp.pad(first, [(0, 0), (0, 1), (0, 0)]) + jnp.pad(second, [(0, 0), (1, 0), (0, 0)])
        spread = after.reshape(batch, (frames + 1) * self.stride, -1)
        start = -(-self.stride // 2)
        found = spread[:, start : start + frames * self.stride]
        return found + per_channel(self.bias[...], found)
