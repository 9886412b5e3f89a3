"""The blocks of NCSN and NCSNv2.

A RefineNet (Lin et al. 2017, arXiv 1611.06612) with InstanceNorm++, after Song and Ermon 2019
(arXiv 1907.05600, Appendix A) and 2020 (arXiv 2006.09011, Appendix B): residual blocks with the
norm first, dilated convolutions instead of the later poolings, and ELU. What the papers leave open
is as in the released networks: which convolutions have a bias, a dilated convolution as shortcut
of the first block of a dilated stage, and that features are enlarged corner to corner. The chained
pooling takes averages in NCSN, as its paper says, and maxima in NCSNv2, as its released network.
"""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from score_sde.models.layers import Conv, Dense, Layer, per_channel
from score_sde.models.resample import halve, smooth


class InstanceNormPlus(nnx.Module):
    """InstanceNorm++ (Song and Ermon 2019, arXiv 1907.05600, Appendix A.1), conditional or plain.

    Instance normalisation forgets the mean mu_k of each feature map k; this puts it back, relative
    to the mean m and standard deviation v of the mu_k over the maps:

        y_k = gamma_k (x_k - mu_k) / s_k + beta_k + alpha_k (mu_k - m) / v.                  (1)

    v^2 is the unbiased estimate, divided by the number of maps less one; s_k^2 is the plain mean.

    Args:
        channels: of the input, at least 2.
        num_scales: rows of alpha, beta and gamma, one for each noise level; 0 for one set for all.
        param_dtype: dtype of the parameters.
        rngs: random streams of the initialisation.
    """

    def __init__(self, channels: int, *, num_scales: int, param_dtype: jnp.dtype, rngs: nnx.Rngs):
        shape = (num_scales, channels) if num_scales else (channels,)
        near_one = jax.nn.initializers.normal(0.02)
        self.alpha = nnx.Param(1 + near_one(rngs.params(), shape, param_dtype))
        self.gamma = nnx.Param(1 + near_one(rngs.params(), shape, param_dtype))
        self.beta = nnx.Param(jnp.zeros(shape, param_dtype))
        self.conditional = num_scales > 0

    def __call__(self, x: jax.Array, level: jax.Array) -> jax.Array:
        """[batch, height, width, channels] to the same; the statistics are in float32 or better.

        Args:
            x: features.
            level: row of the parameters for each example, int [batch]; not used without rows.
        """
        wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
        mean = wide.mean((1, 2))
        inverse = jax.lax.rsqrt(wide.var((1, 2)) + 1e-5)
        relative = mean - mean.mean(1, keepdims=True)
        unbiased = jnp.sum(relative**2, 1, keepdims=True) / (x.shape[-1] - 1)
        relative = relative * jax.lax.rsqrt(unbiased + 1e-5)
        alpha, beta, gamma = (
            (p[...][level] if self.conditional else p[...][None]).astype(wide.dtype)
            for p in (self.alpha, self.beta, self.gamma)
        )
        y = (wide - per_channel(mean, wide)) * per_channel(gamma * inverse, wide)
        return (y + per_channel(beta + alpha * relative, wide)).astype(x.dtype)


# Makes the norm for a number of channels.
Norm = Callable[[int], InstanceNormPlus]


class DilatedConv(nnx.Module):
    """A 3x3 convolution whose taps are `dilation` pixels apart, of the same size.

    Each residue class of pixels modulo the dilation is an image of its own, on which it is an
    ordinary convolution: so it shares `Conv`, and its derivatives.

    Args:
        n_in: channels of the input.
        n_out: channels of the output.
        dilation: distance of the taps; 1 for an ordinary convolution.
        param_dtype: dtype of the parameters.
        rngs: random streams of the initialisation.
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        dilation: int = 1,
        *,
        param_dtype: jnp.dtype,
        rngs: nnx.Rngs,
    ):
        self.conv = Conv(n_in, n_out, param_dtype=param_dtype, rngs=rngs)
        self.dilation = dilation

    def __call__(self, x: jax.Array) -> jax.Array:
        """[batch, height, width, n_in] to [batch, height, width, n_out]."""
        d = self.dilation
        if d == 1:
            return self.conv(x)
        b, h, w, c = x.shape
        x = jnp.pad(x, ((0, 0), (0, -h % d), (0, -w % d), (0, 0)))
        rows, columns = x.shape[1] // d, x.shape[2] // d
        parts = x.reshape(b, rows, d, columns, d, c).transpose(0, 2, 4, 1, 3, 5)
        y = self.conv(parts.reshape(b * d * d, rows, columns, c))
        y = y.reshape(b, d, d, rows, columns, -1).transpose(0, 3, 1, 4, 2, 5)
        return y.reshape(b, rows * d, columns * d, -1)[:, :h, :w]


class ResidualBlock(nnx.Module):
    """Norm, ELU, convolution, twice, around an identity or a convolution.

    That is of 1x1 pixels; of the first block of a dilated stage it is dilated, too.

    Args:
        n_in: channels of the input.
        n_out: channels of the output.
        first: whether the block is the first of its stage.
        down: halve the size at the end, by the mean of 2x2 pixels.
        dilation: of the convolutions.
        norm: makes the norms.
        param_dtype: dtype of the parameters.
        rngs: random streams of the initialisation.
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        *,
        first: bool,
        down: bool,
        dilation: int,
        norm: Norm,
        param_dtype: jnp.dtype,
        rngs: nnx.Rngs,
    ):
        layer: Layer = {"param_dtype": param_dtype, "rngs": rngs}
        self.norm_0, self.norm_1 = norm(n_in), norm(n_in)
        self.conv_0 = DilatedConv(n_in, n_in, dilation, **layer)
        self.conv_1 = DilatedConv(n_in, n_out, dilation, **layer)
        self.shortcut = self._shortcut(n_in, n_out, dilation if first else 1, down, layer)
        self.down = down

    @staticmethod
    def _shortcut(
        n_in: int, n_out: int, dilation: int, down: bool, layer: Layer
    ) -> DilatedConv | Dense | None:
        if dilation > 1:
            return DilatedConv(n_in, n_out, dilation, **layer)
        return Dense(n_in, n_out, **layer) if down or n_in != n_out else None

    def __call__(self, x: jax.Array, level: jax.Array) -> jax.Array:
        """[batch, height, width, n_in] to [batch, height', width', n_out]; level: see the norm."""
        h = self.conv_0(jax.nn.elu(self.norm_0(x, level)))
        h = self.conv_1(jax.nn.elu(self.norm_1(h, level)))
        if self.down:
            x, h = halve(x), halve(h)
        return (x if self.shortcut is None else self.shortcut(x)) + h


class _NormConv(nnx.Module):
    """A convolution, after a norm if there is one, with something done in between."""

    def __init__(self, n_in: int, n_out: int, norm: Norm | None, use_bias: bool, layer: Layer):
        self.norm = norm(n_in) if norm else None
        self.conv = Conv(n_in, n_out, use_bias=use_bias, **layer)

    def __call__(
        self,
        x: jax.Array,
        level: jax.Array,
        between: Callable[[jax.Array], jax.Array] = lambda x: x,
    ) -> jax.Array:
        return self.conv(between(x if self.norm is None else self.norm(x, level)))


class RefineBlock(nnx.Module):
    """Joins features of several sizes at the largest of them (Lin et al. 2017, Section 3.2).

    Residual convolution units on each input; fusion, a convolution on each, enlarged to one size
    and summed; chained residual pooling; residual convolution units.

    Args:
        n_in: channels of each input, the largest size first.
        n_out: channels of the output.
        n_end: residual units at the end.
        norm: makes a norm before each convolution or pooling; None for no norms, and max pooling.
        param_dtype: dtype of the parameters.
        rngs: random streams of the initialisation.
    """

    def __init__(
        self,
        n_in: Sequence[int],
        n_out: int,
        *,
        n_end: int,
        norm: Norm | None,
        param_dtype: jnp.dtype,
        rngs: nnx.Rngs,
    ):
        layer: Layer = {"param_dtype": param_dtype, "rngs": rngs}

        def chain(n: int, length: int) -> nnx.List:
            return nnx.List(_NormConv(n, n, norm, False, layer) for _ in range(length))

        self.adapt = nnx.List(chain(n, 4) for n in n_in)
        fuse = (_NormConv(n, n_out, norm, True, layer) for n in n_in)
        self.fuse = nnx.List(fuse) if n_in[1:] else None
        self.pool = chain(n_out, 2)
        self.reduce = _average_pool if norm else _max_pool
        self.end = chain(n_out, 2 * n_end)

    def __call__(self, inputs: Sequence[jax.Array], level: jax.Array) -> jax.Array:
        """Inputs [batch, height_i, width_i, n_in_i] to [batch, height_0, width_0, n_out].

        Args:
            inputs: features, the largest size first.
            level: see InstanceNormPlus.
        """
        adapted = [_units(c, x, level) for c, x in zip(self.adapt, inputs, strict=True)]
        if self.fuse is None:
            (h,) = adapted
        else:
            fused = [conv(x, level) for conv, x in zip(self.fuse, adapted, strict=True)]
            h = sum(enlarge(x, fused[0].shape[1:3]) for x in fused)
        path = h = jax.nn.elu(h)
        for conv in self.pool:
            path = conv(path, level, self.reduce)
            h = h + path
        return _units(self.end, h, level)


def enlarge(x: jax.Array, size: Sequence[int]) -> jax.Array:
    """Linear interpolation that puts corners on corners.

    Args:
        x: [batch, height, width, channels].
        size: (height, width) of the result.
    """
    for axis, length in enumerate(size, 1):
        if x.shape[axis] != length:
            weights = jnp.asarray(_between(x.shape[axis], length), x.dtype)
            x = jnp.moveaxis(jnp.tensordot(x, weights, (axis, 1)), -1, axis)
    return x


def _between(n_in: int, n_out: int) -> np.ndarray:
    """Weights of linear interpolation from n_in points to n_out in the same interval."""
    position = np.linspace(0, n_in - 1, n_out)
    return np.maximum(1 - np.abs(position[:, None] - np.arange(n_in)), 0)


def _average_pool(x: jax.Array) -> jax.Array:
    return smooth(x, (1, 1, 1, 1, 1))


def _max_pool(x: jax.Array) -> jax.Array:
    return nnx.max_pool(x, (5, 5), padding="SAME")


def _units(chain: Sequence[_NormConv], x: jax.Array, level: jax.Array) -> jax.Array:
    """Residual units: two convolutions each, an ELU before every one."""
    for first, second in zip(chain[::2], chain[1::2], strict=True):
        x = x + second(first(x, level, jax.nn.elu), level, jax.nn.elu)
    return x
