"""Two-dimensional convolution, whose rules are those of the platform that it is lowered for.

A convolution is linear in its input and in its kernel,

    y[b, i, j] = sum_{u, v} x[b, s i + u - p, s j + v - q] @ w[u, v],                      (1)

so both derivatives are again sums of products. With the cotangent g spread out by the stride
(zeros between its pixels) and padded with (k - 1 - p) zeros in front,

    dL/dx = g * flip(w)^T                   a convolution like (1), of stride 1,           (2)
    dL/dw[u, v] = sum_{b, i, j} x[b, i, j]^T g[b, i - u + p, j - v + q].                   (3)

They are three primitives, see `bilinear`.

For a GPU or a TPU all three are XLA's convolution and its transposes: their libraries are better.
XLA writes the transposes as convolutions with permuted dimensions. Outside a loop its CPU backend
turns them into library calls; inside `lax.scan` or `while_loop` it does not, and training steps
fused by a scan become 10 to 50 times slower. So for a CPU (2) is an explicit forward convolution,
and (3) another one, of the images' channels with the cotangent, or matrix products: see
`_of_kernel`. (1) itself is a product there where a layer is wide and its images small, see
`_forward`.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from score_sde.models.bilinear import Three, bilinear

Padding = tuple[tuple[int, int], tuple[int, int]]

_LAYOUT = ("NHWC", "HWIO", "NHWC")


class _Geometry(NamedTuple):
    """What the shapes of two of the three arrays do not say of the third.

    Attributes:
        stride: between output pixels.
        padding: zeros before and after.
        size: (height, width) of the images that are convolved.
        taps: (height, width) of the kernel.
    """

    stride: int
    padding: Padding
    size: tuple[int, int]
    taps: tuple[int, int]


def conv2d(
    x: jax.Array,
    kernel: jax.Array,
    *,
    stride: int = 1,
    padding: Padding = ((1, 1), (1, 1)),
) -> jax.Array:
    """Convolution (cross-correlation, as networks use the word) with explicit zero padding.

    Forward mode, reverse mode, `vmap` and derivatives of any order work.

    Args:
        x: images, [batch, height, width, in].
        kernel: [kernel height, kernel width, in, out], of x's dtype.
        stride: step between output pixels, the same in both directions.
        padding: zeros before and after, ((top, bottom), (left, right)), less than the kernel size.

    Returns:
        [batch, (height + top + bottom - kernel height) // stride + 1, ..., out].

    Raises:
        ValueError: padding as large as the kernel, for which (2) would need a negative padding.
    """
    if any(max(pad) >= size for pad, size in zip(padding, kernel.shape[:2], strict=True)):
        raise ValueError(f"padding {padding} must be smaller than the kernel {kernel.shape[:2]}")
    geometry = _Geometry(stride, padding, x.shape[1:3], kernel.shape[:2])
    return _convolution.bind(x, kernel, geometry=geometry)


# XLA's own operation and its transposes.


def _xla(x: jax.Array, kernel: jax.Array, *, geometry: _Geometry) -> jax.Array:
    """Equation (1)."""
    stride = geometry.stride, geometry.stride
    return lax.conv_general_dilated(x, kernel, stride, geometry.padding, dimension_numbers=_LAYOUT)


def _xla_of_input(g: jax.Array, kernel: jax.Array, *, geometry: _Geometry) -> jax.Array:
    """Equation (2)."""
    x = jax.ShapeDtypeStruct((len(g), *geometry.size, kernel.shape[2]), g.dtype)
    return jax.linear_transpose(lambda x: _xla(x, kernel, geometry=geometry), x)(g)[0]


def _xla_of_kernel(x: jax.Array, g: jax.Array, *, geometry: _Geometry) -> jax.Array:
    """Equation (3)."""
    kernel = jax.ShapeDtypeStruct((*geometry.taps, x.shape[-1], g.shape[-1]), g.dtype)
    return jax.linear_transpose(lambda kernel: _xla(x, kernel, geometry=geometry), kernel)(g)[0]


# For a CPU.


def _forward(x: jax.Array, kernel: jax.Array, *, geometry: _Geometry) -> jax.Array:
    """Equation (1).

    XLA's operation lays out the kernel anew each time. Where that is larger than all patches of the
    images together, wide layers of few pixels, one product of the patches and the kernel as it lies
    takes less time.
    """
    stride = geometry.stride
    batch, rows, columns, n_out = _shape_of_output(x.shape, kernel.shape, geometry=geometry)
    if batch * rows * columns > n_out:
        return _xla(x, kernel, geometry=geometry)
    x = jnp.pad(x, ((0, 0), *geometry.padding, (0, 0)))
    height, width = ((side - 1) * stride + 1 for side in (rows, columns))
    taps = [
        x[:, u : u + height : stride, v : v + width : stride]
        for u in range(kernel.shape[0])
        for v in range(kernel.shape[1])
    ]
    patches = jnp.concatenate(taps, axis=-1).reshape(batch * rows * columns, -1)
    return (patches @ kernel.reshape(-1, n_out)).reshape(batch, rows, columns, n_out)


def _of_input(g: jax.Array, kernel: jax.Array, *, geometry: _Geometry) -> jax.Array:
    """Equation (2); of wide layers of few pixels by one product with the kernel as it lies."""
    (height, width), n_in = geometry.size, kernel.shape[2]
    if len(g) * height * width <= n_in:
        return _of_input_by_taps(g, kernel, geometry)
    spread = _spread(g, geometry)
    flipped = lax.rev(kernel, (0, 1)).transpose(0, 1, 3, 2)
    none = (0, 0), (0, 0)
    return _forward(spread, flipped, geometry=_Geometry(1, none, spread.shape[1:3], geometry.taps))


def _of_input_by_taps(g: jax.Array, kernel: jax.Array, geometry: _Geometry) -> jax.Array:
    """Equation (2): what each tap gives to each pixel, all of it at once, then their sum.

    The kernel, the larger of the two, comes first: XLA would copy it transposed if it came second.
    """
    given = lax.dot_general(kernel, g, (((3,), (3,)), ((), ())))
    zero = jnp.zeros((), g.dtype)
    total = jnp.zeros((kernel.shape[2], len(g), *geometry.size), g.dtype)
    for u in range(geometry.taps[0]):
        for v in range(geometry.taps[1]):
            places = []
            for tap, pixels, size, (before, _) in zip(
                (u, v), g.shape[1:3], geometry.size, geometry.padding, strict=True
            ):
                front = tap - before  # of the pixel that the first output meets
                back = size - front - ((pixels - 1) * geometry.stride + 1)
                places.append((front, back, geometry.stride - 1))
            total += lax.pad(given[u, v], zero, [(0, 0, 0), (0, 0, 0), *places])
    return total.transpose(1, 2, 3, 0)


def _of_kernel(x: jax.Array, g: jax.Array, *, geometry: _Geometry) -> jax.Array:
    """Equation (3): by whichever takes less time; Eigen has no convolution of float64."""
    few = len(x) < _EXAMPLES or geometry.taps == (1, 1)
    by = _by_products if few or x.dtype == jnp.float64 else _by_convolution
    return by(x, g, geometry)


# Examples are the channels of _by_convolution, which so many make worth its while.
_EXAMPLES = 8


def _by_products(x: jax.Array, g: jax.Array, geometry: _Geometry) -> jax.Array:
    """Equation (3): the taps of a row side by side, so that one product serves a row."""
    (rows, columns), (height, width) = geometry.taps, geometry.size
    spread = _spread(g, geometry)
    shifted = jnp.concatenate(
        [spread[:, :, v : v + width] for v in reversed(range(columns))], axis=-1
    )
    gradient = [
        lax.dot_general(x, shifted[:, u : u + height], (((0, 1, 2), (0, 1, 2)), ((), ())))
        for u in reversed(range(rows))
    ]
    return jnp.stack(gradient).reshape(rows, x.shape[-1], columns, -1).transpose(0, 2, 1, 3)


def _by_convolution(x: jax.Array, g: jax.Array, geometry: _Geometry) -> jax.Array:
    """Equation (3): one convolution, whose sums over examples and pixels are its own.

    Channels of x are its batch, examples its channels, and g, spread by the stride, its kernel.
    Images and kernel are spread by two and every second sum is taken, which changes none of them:
    of images that are spread XLA makes Eigen's convolution, which takes half the time of YNNPACK's
    for a kernel as large as its image, and a third of the products' (6.8, 13.9 and 20 ms at 32 x 32
    pixels, 128 channels and batch 8 on two cores of an AMD EPYC, JAX 0.10.2).
    """
    apart = 2
    between = apart * geometry.stride
    padding = [(apart * before, apart * after) for before, after in geometry.padding]
    gradient = lax.conv_general_dilated(
        x.transpose(3, 1, 2, 0),
        g.transpose(1, 2, 0, 3),
        window_strides=(apart, apart),
        padding=padding,
        lhs_dilation=(apart, apart),
        rhs_dilation=(between, between),
        dimension_numbers=_LAYOUT,
    )
    # A stride may leave pixels at the end that no output reaches: they are no taps.
    rows, columns = geometry.taps
    return gradient[:, :rows, :columns].transpose(1, 2, 0, 3)


def _spread(g: jax.Array, geometry: _Geometry) -> jax.Array:
    """Cotangent with stride - 1 zeros between pixels, padded to x's size + kernel's size - 1."""
    config = [(0, 0, 0)]
    sides = zip(g.shape[1:3], geometry.size, geometry.taps, geometry.padding, strict=True)
    for pixels, size, taps, (before, _) in sides:
        front = taps - 1 - before
        back = size + taps - 1 - front - ((pixels - 1) * geometry.stride + 1)
        config.append((front, back, geometry.stride - 1))
    return lax.pad(g, jnp.zeros((), g.dtype), [*config, (0, 0, 0)])


# The primitives.


def _shape_of_output(x: tuple[int, ...], kernel: tuple[int, ...], *, geometry: _Geometry):
    sides = zip(geometry.size, geometry.taps, geometry.padding, strict=True)
    sides = ((n + sum(pad) - k) // geometry.stride + 1 for n, k, pad in sides)
    return (x[0], *sides, kernel[3])


def _shape_of_input(g: tuple[int, ...], kernel: tuple[int, ...], *, geometry: _Geometry):
    return (g[0], *geometry.size, kernel[2])


def _shape_of_kernel(x: tuple[int, ...], g: tuple[int, ...], *, geometry: _Geometry):
    return (*geometry.taps, x[3], g[3])


_convolution = bilinear(
    "conv2d",
    Three(_shape_of_output, _shape_of_input, _shape_of_kernel),
    Three(_xla, _xla_of_input, _xla_of_kernel),
    on_cpu=Three(_forward, _of_input, _of_kernel),
    static=("geometry",),
)
