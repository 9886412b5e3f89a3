"""Linear layers: products with a kernel over the last axis, whose derivatives transpose nothing.

    y = x W,    dL/dx = g W^T,    dL/dW = x^T g                                            (1)

JAX's own derivative of a product gives the third as the transpose of g^T x. XLA for CPUs then
copies one of the two transposed, fused with what computes it, element by element: a fifth of a
training step of a DiT. Written as in (1) all three are products of arrays as they lie.
"""

from __future__ import annotations

import math
from typing import Any

import jax
import numpy as np
from jax import lax

from score_sde.models.bilinear import Three, bilinear


def linear(x: jax.Array, kernel: Any) -> jax.Array:
    """x W over the last axis. Forward mode, reverse mode, `vmap` and any order work.

    Args:
        x: [..., n_in].
        kernel: W, [n_in, ...], of x's dtype; or what multiplies an array from the right itself.

    Returns:
        [..., ...], the axes of x without the last, then those of W without the first.
    """
    if not isinstance(kernel, jax.Array | np.ndarray):
        return x @ kernel
    y = _product.bind(x.reshape(math.prod(x.shape[:-1]), x.shape[-1]), kernel)
    return y.reshape(*x.shape[:-1], *y.shape[1:])


def _y(x: jax.Array, w: jax.Array) -> jax.Array:
    return lax.dot_general(x, w, (((1,), (0,)), ((), ())))


def _of_x(g: jax.Array, w: jax.Array) -> jax.Array:
    axes = tuple(range(1, w.ndim))
    return lax.dot_general(g, w, ((axes, axes), ((), ())))


def _of_w(x: jax.Array, g: jax.Array) -> jax.Array:
    return lax.dot_general(x, g, (((0,), (0,)), ((), ())))


_SHAPES = Three(lambda x, w: (x[0], *w[1:]), lambda g, w: (g[0], w[0]), lambda x, g: (x[1], *g[1:]))
_product = bilinear("linear", _SHAPES, Three(_y, _of_x, _of_w))
