"""Layers that preserve the magnitude of what goes through them (Karras et al. 2023, 2312.02696).

Activations of unit variance leave each layer with unit variance, in expectation: weights are kept
at unit size, functions are divided by what they do to a standard normal, sums and concatenations
weigh their parts so that the result has the size of one.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from flax import nnx

from score_sde.models.conv import conv2d
from score_sde.models.layers import Constant, UnitParam, unit_rms
from score_sde.models.linear import linear


def mp_silu(x: jax.Array) -> jax.Array:
    """Swish over the root mean square that it has of a standard normal, 0.596 (equation 81)."""
    return jax.nn.silu(x) / 0.596


def mp_sum(a: jax.Array, b: jax.Array, t: float) -> jax.Array:
    """((1 - t) a + t b) / sqrt((1 - t)^2 + t^2) (equation 88)."""
    return (a + t * (b - a)) / math.sqrt((1 - t) ** 2 + t**2)


def mp_cat(a: jax.Array, b: jax.Array, t: float) -> jax.Array:
    """Channels of both, of which b has the share t of the magnitude (equation 103).

    Args:
        a: [..., n].
        b: [..., m].
        t: 0 to 1.

    Returns:
        [..., n + m].
    """
    n, m = a.shape[-1], b.shape[-1]
    both = math.sqrt((n + m) / ((1 - t) ** 2 + t**2))
    return jnp.concatenate([a * (both * (1 - t) / math.sqrt(n)), b * (both * t / math.sqrt(m))], -1)


class MPDense(nnx.Module):
    """A dense layer without a bias, over channels: each output has weights of unit length.

    Args:
        n_in: features of the input.
        n_out: features of the output.
        param_dtype: dtype of the parameters.
        rngs: random streams of the initialisation.
    """

    def __init__(self, n_in: int, n_out: int, *, param_dtype: jnp.dtype, rngs: nnx.Rngs):
        self.kernel = UnitParam(jax.random.normal(rngs.params(), (n_in, n_out), param_dtype))

    def __call__(self, x: jax.Array, gain: jax.Array | float = 1.0) -> jax.Array:
        """[..., n_in] to [..., n_out], times the gain."""
        return linear(x, _weight(self.kernel[...], gain, x.dtype))


class MPConv(nnx.Module):
    """A 3x3 convolution without a bias: each output has weights of unit length.

    Args:
        n_in: channels of the input.
        n_out: channels of the output.
        param_dtype: dtype of the parameters.
        rngs: random streams of the initialisation.
    """

    def __init__(self, n_in: int, n_out: int, *, param_dtype: jnp.dtype, rngs: nnx.Rngs):
        self.kernel = UnitParam(jax.random.normal(rngs.params(), (3, 3, n_in, n_out), param_dtype))

    def __call__(self, x: jax.Array, gain: jax.Array | float = 1.0) -> jax.Array:
        """[batch, height, width, n_in] to [batch, height, width, n_out], times the gain."""
        return conv2d(x, _weight(self.kernel[...], gain, x.dtype))


def _weight(kernel: jax.Array, gain: jax.Array | float, dtype: jnp.dtype) -> jax.Array:
    """Unit length for each output, times the gain, so that gradients are across the weights."""
    fan_in = math.prod(kernel.shape[:-1])
    return (unit_rms(kernel) * (gain / math.sqrt(fan_in))).astype(dtype)


class MPFourier(nnx.Module):
    """sqrt(2) cos(frequency x + phase), of random frequencies and phases (equation 75).

    Args:
        features: how many.
        param_dtype: dtype of the constants.
        rngs: random streams of the initialisation; they come from the stream `constants`.
    """

    def __init__(self, features: int, *, param_dtype: jnp.dtype, rngs: nnx.Rngs):
        turn = 2 * math.pi
        drawn = jax.random.normal(rngs.constants(), (features,), param_dtype)
        self.frequencies = Constant(turn * drawn)  # radians per unit
        self.phases = Constant(
            turn * jax.random.uniform(rngs.constants(), (features,), param_dtype)
        )

    def __call__(self, label: jax.Array) -> jax.Array:
        """[batch] to [batch, features], in the label's dtype."""
        frequencies, phases = (
            c[...].astype(label.dtype)[None] for c in (self.frequencies, self.phases)
        )
        return jnp.cos(label[:, None] * frequencies + phases) * math.sqrt(2)
