"""Layers that every network here is made of. Each computes in the dtype of its input."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypedDict

import jax
import jax.numpy as jnp
from flax import nnx

from score_sde.models import placing
from score_sde.models.conv import Padding, conv2d
from score_sde.models.linear import linear
from score_sde.models.spread import spread


class Layer(TypedDict):
    """What every layer is given beside what it is.

    Attributes:
        param_dtype: dtype of its parameters.
        rngs: random streams of its initialisation.
    """

    param_dtype: jnp.dtype
    rngs: nnx.Rngs


class Constant(nnx.Variable):
    """An array that belongs to a model but is not trained."""


class UnitParam(nnx.Param):
    """A parameter that training keeps at unit size; see `unit_rms` and functional.project."""


def unit_rms(x: jax.Array, axes: tuple[int, ...] | None = None) -> jax.Array:
    """x over its root mean square, which gets 1e-4 added, in float32 or better.

    Of weights: Karras et al. 2023 (arXiv 2312.02696), equation 47 where they are used, and 66 where
    a step of training begins with them.

    Args:
        x: any array.
        axes: over which; for a weight, all but the last, so that each output is one of its own.
    """
    axes = tuple(range(x.ndim - 1)) if axes is None else axes
    wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    rms = jnp.sqrt(jnp.mean(wide * wide, axis=axes, keepdims=True))
    return (wide / (1e-4 + rms)).astype(x.dtype)


def init_kernel(scale: float = 1.0) -> Callable[..., jax.Array]:
    """Uniform initialisation of variance scale / ((fan in + fan out) / 2).

    A scale of 0 means 1e-10: the layer starts at nearly, not exactly, zero (Ho et al. 2020,
    arXiv 2006.11239, and Song et al. 2021, arXiv 2011.13456, in their released code).
    """
    return _kernel(scale or 1e-10)


@functools.cache
def _kernel(scale: float) -> Callable[..., jax.Array]:
    """See init_kernel; traced once for each shape, which many layers share."""
    draw = jax.nn.initializers.variance_scaling(scale, "fan_avg", "uniform")
    return jax.jit(draw, static_argnums=(1, 2))


def kernel_param(
    key: jax.Array, shape: Sequence[int], dtype: jnp.dtype, scale: float = 1.0, **metadata: Any
) -> nnx.Param:
    """A parameter that starts as init_kernel says, and says so itself; see models.width.

    Args:
        key: JAX random key.
        shape: [..., n_in, n_out].
        dtype: of the parameter.
        scale: see init_kernel.
        metadata: what else it says.
    """
    return nnx.Param(
        init_kernel(scale)(key, tuple(shape), dtype), **{FAN_AVERAGE: True}, **metadata
    )


FAN_AVERAGE = "fan_average"  # the name of what kernel_param says
QUERIES = "queries"  # and of what is said of the parameters that queries are made with


class Queries(NamedTuple):
    """What a layer gives that makes queries of attention; see models.width.

    Attributes:
        features: of a head.
        parts: arrays that lie one after another on its last axis, of which queries are the first.
    """

    features: int
    parts: int = 1


def asking(queries: Queries | None) -> dict[str, Any]:
    """What an nnx.Param is told of the queries that it makes."""
    return {} if queries is None else {QUERIES: queries}


def per_channel(values: jax.Array, x: jax.Array) -> jax.Array:
    """Values of [channels] or [batch, channels], shaped and cast for x [batch, ..., channels]."""
    batch = values.shape[:-1] or (1,)
    return values.reshape(*batch, *(1,) * (x.ndim - 2), values.shape[-1]).astype(x.dtype)


class Dense(nnx.Module):
    """y = x W + b over the last axis; over the channels of an image it is a 1x1 convolution.

    Args:
        n_in: features of the input.
        n_out: features of the output.
        scale: see `init_kernel`.
        bias: whether there is b.
        split: how devices share W, see models.placing; None: each has all of it.
        queries: of attention that it makes; None for none.
        param_dtype: dtype of the parameters.
        rngs: random streams of the initialisation.
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        *,
        scale: float = 1.0,
        bias: bool = True,
        split: placing.Split | None = None,
        queries: Queries | None = None,
        param_dtype: jnp.dtype = jnp.float32,
        rngs: nnx.Rngs,
    ):
        said, told = asking(queries), placing.metadata(split, cast=True)
        kernel = kernel_param(rngs.params(), (n_in, n_out), param_dtype, scale, **told, **said)
        self.kernel = kernel
        split = split if split and split.axis == -1 else None  # inputs are none of the bias
        said |= placing.metadata(split, cast=True)
        self.bias = nnx.Param(jnp.zeros(n_out, param_dtype), **said) if bias else None

    def __call__(self, x: jax.Array) -> jax.Array:
        """[..., n_in] to [..., n_out], or to [..., parts, n] of a split of several that is used."""
        y = linear(x, placing.used(self.kernel, x.dtype))
        if self.bias is None:
            return y
        bias = placing.used(self.bias, y.dtype)
        return y + spread(bias.reshape((1,) * (y.ndim - bias.ndim) + bias.shape), y)


class Conv(nnx.Module):
    """A 3x3 convolution.

    Args:
        n_in: channels of the input.
        n_out: channels of the output.
        stride: see `conv2d`.
        padding: see `conv2d`.
        use_bias: whether to add a bias.
        scale: see `init_kernel`.
        param_dtype: dtype of the parameters.
        rngs: random streams of the initialisation.
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        *,
        stride: int = 1,
        padding: Padding = ((1, 1), (1, 1)),
        use_bias: bool = True,
        scale: float = 1.0,
        param_dtype: jnp.dtype = jnp.float32,
        rngs: nnx.Rngs,
    ):
        told = placing.metadata(cast=True)
        self.kernel = kernel_param(rngs.params(), (3, 3, n_in, n_out), param_dtype, scale, **told)
        self.bias = nnx.Param(jnp.zeros(n_out, param_dtype)) if use_bias else None
        self.stride, self.padding = stride, padding

    def __call__(self, x: jax.Array) -> jax.Array:
        """[batch, height, width, n_in] to [batch, height', width', n_out]."""
        kernel = placing.used(self.kernel, x.dtype)
        y = conv2d(x, kernel, stride=self.stride, padding=self.padding)
        return y if self.bias is None else y + spread(per_channel(self.bias[...], y), y)


class GroupNorm(nnx.Module):
    """Group normalisation (Wu and He 2018, arXiv 1803.08494).

    There are as many groups as divide the channels, at most 32 and at most channels // group_size.

    Args:
        channels: channels of the input.
        group_size: the fewest channels in a group.
        groups: how many there are, whatever group_size says; 0: as that says.
        eps: what is added to the variance.
        param_dtype: dtype of the parameters.

    Raises:
        ValueError: groups do not divide the channels.
    """

    def __init__(
        self,
        channels: int,
        *,
        group_size: int = 4,
        groups: int = 0,
        eps: float = 1e-6,
        param_dtype: jnp.dtype = jnp.float32,
    ):
        if groups and channels % groups:
            raise ValueError(f"{channels} channels cannot be divided into {groups} groups")
        self.eps = eps
        most = max(1, min(channels // group_size, 32))
        self.groups = groups or next(n for n in range(most, 0, -1) if channels % n == 0)
        self.scale = nnx.Param(jnp.ones(channels, param_dtype))
        self.bias = nnx.Param(jnp.zeros(channels, param_dtype))

    def __call__(self, x: jax.Array) -> jax.Array:
        """[batch, ..., channels] to the same; the statistics are in float32 or better."""
        return _normalised(x, self.scale[...], self.bias[...], self.groups, self.eps)


@functools.partial(jax.jit, static_argnames=("groups", "eps"))
def _normalised(
    x: jax.Array, scale: jax.Array, bias: jax.Array, groups: int, eps: float
) -> jax.Array:
    """See GroupNorm; a function of its own, which JAX traces once for each shape."""
    wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    y = wide - per_channel(_group_mean(wide, groups), wide)
    inverse = jax.lax.rsqrt(_group_mean(y * y, groups) + eps)
    # One factor for each example and channel, so that an image is passed over once.
    y = y * per_channel(inverse * scale.astype(y.dtype)[None], y)
    return (y + per_channel(bias, y)).astype(x.dtype)


def _group_mean(x: jax.Array, groups: int) -> jax.Array:
    """Mean over positions and a group's channels, repeated for each channel: [batch, channels].

    Positions first: the sum then runs along contiguous rows of channels.
    """
    channels = x.mean(axis=tuple(range(1, x.ndim - 1)))
    means = channels.reshape(len(x), groups, -1).mean(axis=-1)
    return jnp.repeat(means, x.shape[-1] // groups, axis=-1)


def dropout(x: jax.Array, rate: float, key: jax.Array | None) -> jax.Array:
    """Zero each entry with probability `rate` (to 2^-16) and scale up the rest.

    Args:
        x: any shape.
        rate: in [0, 1).
        key: JAX random key; None returns x itself.
    """
    if key is None or rate == 0:
        return x
    # Making random bits is what dropout costs, and JAX makes 32 even where fewer are asked for:
    # each word serves two channels.
    threshold = round(rate * 2**16)
    words = jax.random.bits(key, (*x.shape[:-1], -(-x.shape[-1] // 2)), jnp.uint32)
    bits = jax.lax.bitcast_convert_type(words, jnp.uint16).reshape(*x.shape[:-1], -1)
    keep = bits[..., : x.shape[-1]] >= threshold
    return jnp.where(keep, x / (1 - threshold / 2**16), 0)
