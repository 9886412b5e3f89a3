"""Two-dimensional convolution whose derivatives stay fast inside a loop on a CPU.

A convolution is linear in its input and in its kernel,

    y[b, i, j] = sum_{u, v} x[b, s i + u - p, s j + v - q] @ w[u, v],                      (1)

so both derivatives are again sums of products. With the cotangent g spread out by the stride
(zeros between its pixels) and padded with (k - 1 - p) zeros in front,

    dL/dx = g * flip(w)^T                   a convolution like (1), of stride 1,           (2)
    dL/dw[u, v] = sum_{b, i, j} x[b, i, j]^T g[b, i - u + p, j - v + q].                   (3)

XLA writes (2) and (3) as convolutions with permuted dimensions. Outside a loop its CPU backend
turns them into library calls; inside `lax.scan` or `while_loop` it does not, and training steps
fused by a scan become 10 to 50 times slower. Here (2) is an explicit forward convolution and (3)
one matrix product per row of taps. Other backends keep XLA's own derivatives: their libraries are
better. (1) itself is a product there where a layer is wide and its images small, see `_forward`.
It is a primitive of its own, not a `custom_vjp`, because Hutchinson's estimator wants
forward mode and because (2) and (3) are then differentiable in turn.
"""

import functools

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

Padding = tuple[tuple[int, int], tuple[int, int]]

_LAYOUT = ("NHWC", "HWIO", "NHWC")


def conv2d(
    x: jax.Array,
    kernel: jax.Array,
    *,
    stride: int = 1,
    padding: Padding = ((1, 1), (1, 1)),
    own_derivatives: bool | None = None,
) -> jax.Array:
    """Convolution (cross-correlation, as networks use the word) with explicit zero padding.

    Forward mode, reverse mode, `vmap` and derivatives of any order work with either rule.

    Args:
        x: images, [batch, height, width, in].
        kernel: [kernel height, kernel width, in, out], of x's dtype.
        stride: step between output pixels, the same in both directions.
        padding: zeros before and after, ((top, bottom), (left, right)), less than the kernel size.
        own_derivatives: use equations (2) and (3) of this module; None: on a CPU only.

    Returns:
        [batch, (height + top + bottom - kernel height) // stride + 1, ..., out].

    Raises:
        ValueError: padding as large as the kernel, for which (2) would need a negative padding.
    """
    if any(max(pad) >= size for pad, size in zip(padding, kernel.shape[:2], strict=True)):
        raise ValueError(f"padding {padding} must be smaller than the kernel {kernel.shape[:2]}")
    if own_derivatives is None:
        own_derivatives = jax.default_backend() == "cpu"
    if own_derivatives:
        return _conv_p.bind(x, kernel, stride=stride, padding=padding)
    return _conv(x, kernel, stride=stride, padding=padding)


def _conv(x: jax.Array, kernel: jax.Array, *, stride: int, padding: Padding) -> jax.Array:
    """Equation (1) by XLA's own operation."""
    return lax.conv_general_dilated(x, kernel, (stride, stride), padding, dimension_numbers=_LAYOUT)


def _forward(x: jax.Array, kernel: jax.Array, *, stride: int, padding: Padding) -> jax.Array:
    """Equation (1) on a CPU.

    XLA's operation lays out the kernel anew each time. Where that is larger than all patches of the
    images together, wide layers of few pixels, one product of the patches and the kernel as it lies
    takes less time.
    """
    shape = _shape(x, kernel, stride, padding)
    if shape[0] * shape[1] * shape[2] > shape[3]:
        return _conv(x, kernel, stride=stride, padding=padding)
    x = jnp.pad(x, ((0, 0), *padding, (0, 0)))
    rows, columns, n_in, n_out = kernel.shape
    height, width = ((side - 1) * stride + 1 for side in shape[1:3])
    taps = [
        x[:, u : u + height : stride, v : v + width : stride]
        for u in range(rows)
        for v in range(columns)
    ]
    patches = jnp.concatenate(taps, axis=-1).reshape(-1, rows * columns * n_in)
    return (patches @ kernel.reshape(-1, n_out)).reshape(shape)


def _spread(
    g: jax.Array, x_shape: tuple[int, ...], kernel_shape: tuple[int, ...], stride: int, pad: Padding
) -> jax.Array:
    """Cotangent with stride - 1 zeros between pixels, padded to x's size + kernel's size - 1."""
    config = [(0, 0, 0)]
    for axis, (before, _) in enumerate(pad):
        front = kernel_shape[axis] - 1 - before
        spread = (g.shape[1 + axis] - 1) * stride + 1
        back = x_shape[1 + axis] + kernel_shape[axis] - 1 - front - spread
        config.append((front, back, stride - 1))
    return lax.pad(g, jnp.zeros((), g.dtype), [*config, (0, 0, 0)])


def _input_transpose(g, x, kernel, *, stride: int, padding: Padding):
    """Equation (2)."""
    spread = _spread(g, x.aval.shape, kernel.shape, stride, padding)
    flipped = lax.rev(kernel, (0, 1)).transpose(0, 1, 3, 2)
    return _conv_p.bind(spread, flipped, stride=1, padding=((0, 0), (0, 0)))


def _kernel_transpose(g, x, kernel, *, stride: int, padding: Padding):
    """Equation (3): the taps of a row side by side, so that one product serves a row."""
    rows, columns, n_in, n_out = kernel.aval.shape
    height, width = x.shape[1:3]
    spread = _spread(g, x.shape, kernel.aval.shape, stride, padding)
    shifted = jnp.concatenate(
        [spread[:, :, v : v + width] for v in reversed(range(columns))], axis=-1
    )
    gradient = [
        lax.dot_general(x, shifted[:, u : u + height], (((0, 1, 2), (0, 1, 2)), ((), ())))
        for u in reversed(range(rows))
    ]
    return jnp.stack(gradient).reshape(rows, n_in, columns, n_out).transpose(0, 2, 1, 3)


def _batch(args, axes, *, stride: int, padding: Padding):
    """A batch of images joins the convolution's own batch; a batch of kernels is XLA's business."""
    x, kernel = args
    if axes[1] is None:
        x = jnp.moveaxis(x, axes[0], 0)
        out = _conv_p.bind(x.reshape(-1, *x.shape[2:]), kernel, stride=stride, padding=padding)
        return out.reshape(*x.shape[:2], *out.shape[1:]), 0
    mapped = jax.vmap(lambda a, b: _conv(a, b, stride=stride, padding=padding), axes)
    return mapped(x, kernel), 0


def _shape(x, kernel, stride: int, padding: Padding) -> tuple[int, ...]:
    """Of the result."""
    sides = zip(x.shape[1:3], kernel.shape[:2], padding, strict=True)
    sides = ((n + sum(pad) - k) // stride + 1 for n, k, pad in sides)
    return (x.shape[0], *sides, kernel.shape[3])


def _abstract(x, kernel, *, stride: int, padding: Padding):
    shape, dtype = _result(x.shape, x.dtype, kernel.shape, kernel.dtype, stride, padding)
    return x.update(shape=shape, dtype=dtype, weak_type=False)


@functools.lru_cache(maxsize=4096)
def _result(
    x: tuple[int, ...],
    x_dtype: jnp.dtype,
    kernel: tuple[int, ...],
    kernel_dtype: jnp.dtype,
    stride: int,
    padding: Padding,
) -> tuple[tuple[int, ...], jnp.dtype]:
    """Shape and dtype that XLA's own operation gives, which layers of a network ask again."""
    one, other = jax.ShapeDtypeStruct(x, x_dtype), jax.ShapeDtypeStruct(kernel, kernel_dtype)
    found = jax.eval_shape(lambda a, b: _conv(a, b, stride=stride, padding=padding), one, other)
    return found.shape, found.dtype


_conv_p = Primitive("conv2d")
_conv_p.def_impl(jax.jit(_forward, static_argnames=("stride", "padding")))
_conv_p.def_abstract_eval(_abstract)
mlir.register_lowering(_conv_p, mlir.lower_fun(_forward, multiple_results=False))
ad.defbilinear(_conv_p, _input_transpose, _kernel_transpose)
batching.primitive_batchers[_conv_p] = _batch
