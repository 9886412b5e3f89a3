"""Inception-v3 as the Fréchet Inception distance defines it: features and 1008-way logits.

The network of Szegedy et al. 2015 (arXiv 1512.00567) in the form in which Heusel et al. 2017
(arXiv 1706.08500) used it, TensorFlow's graph of 2015-12-05. From torchvision's network it differs
in the blocks A, C and E: their average pools leave the padding out, the last block has a max pool
in that place, and there are 1008 classes.

Modules are named as in the standard weight file. It only runs forwards: a batch normalisation is
part of its convolution's weights (score_sde.evaluation.fid_network folds it in).
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

IMAGE_SIZE = 299
# Of the batch normalisations.
EPSILON = 1e-3


class Features(NamedTuple):
    """What the network gives.

    Attributes:
        pool3: features, the average over positions of the last block, [batch, 2048].
        logits: of the 1008 classes, bias included, [batch, 1008].
    """

    pool3: jax.Array
    logits: jax.Array


class Unit(nnx.Module):
    """A convolution, with the normalisation folded in, and ReLU.

    Args:
        n_in: channels of the input.
        n_out: channels of the output.
        kernel: height and width.
        stride: of both axes. A strided convolution is not padded.
        padding: "SAME" or "VALID"; by default "SAME" unless strided.
        rngs: random streams.
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        kernel: tuple[int, int] = (1, 1),
        stride: int = 1,
        padding: str | None = None,
        *,
        rngs: nnx.Rngs,
    ):
        init = nnx.initializers.he_normal()
        self.kernel = nnx.Param(init(rngs.params(), (*kernel, n_in, n_out), jnp.float32))
        self.bias = nnx.Param(jnp.zeros(n_out, jnp.float32))
        self.stride = stride
        self.padding = padding or ("SAME" if stride == 1 else "VALID")

    def __call__(self, x: jax.Array) -> jax.Array:
        """[batch, H, W, n_in] to [batch, H', W', n_out]."""
        y = jax.lax.conv_general_dilated(
            x,
            self.kernel[...],
            (self.stride, self.stride),
            self.padding,
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            precision=jax.lax.Precision.HIGHEST,  # a GPU would take TF32
        )
        return jax.nn.relu(y + self.bias[...][None, None, None])


class BlockA(nnx.Module):
    """The blocks at 35x35, Mixed_5b to Mixed_5d."""

    def __init__(self, n_in: int, n_pool: int, *, rngs: nnx.Rngs):
        self.branch1x1 = Unit(n_in, 64, rngs=rngs)
        self.branch5x5_1 = Unit(n_in, 48, rngs=rngs)
        self.branch5x5_2 = Unit(48, 64, (5, 5), rngs=rngs)
        self.branch3x3dbl_1 = Unit(n_in, 64, rngs=rngs)
        self.branch3x3dbl_2 = Unit(64, 96, (3, 3), rngs=rngs)
        self.branch3x3dbl_3 = Unit(96, 96, (3, 3), rngs=rngs)
        self.branch_pool = Unit(n_in, n_pool, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """The branches side by side, [batch, H', W', channels]."""
        b5 = self.branch5x5_2(self.branch5x5_1(x))
        b3 = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return _join(self.branch1x1(x), b5, b3, self.branch_pool(_average_pool(x)))


class BlockB(nnx.Module):
    """From 35x35 to 17x17, Mixed_6a."""

    def __init__(self, n_in: int, *, rngs: nnx.Rngs):
        self.branch3x3 = Unit(n_in, 384, (3, 3), 2, rngs=rngs)
        self.branch3x3dbl_1 = Unit(n_in, 64, rngs=rngs)
        self.branch3x3dbl_2 = Unit(64, 96, (3, 3), rngs=rngs)
        self.branch3x3dbl_3 = Unit(96, 96, (3, 3), 2, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """The branches side by side, [batch, H', W', channels]."""
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return _join(self.branch3x3(x), double, _max_pool(x, 2, "VALID"))


class BlockC(nnx.Module):
    """The blocks at 17x17, Mixed_6b to Mixed_6e, with n channels between the 7x1 and 1x7."""

    def __init__(self, n_in: int, n: int, *, rngs: nnx.Rngs):
        self.branch1x1 = Unit(n_in, 192, rngs=rngs)
        self.branch7x7_1 = Unit(n_in, n, rngs=rngs)
        self.branch7x7_2 = Unit(n, n, (1, 7), rngs=rngs)
        self.branch7x7_3 = Unit(n, 192, (7, 1), rngs=rngs)
        self.branch7x7dbl_1 = Unit(n_in, n, rngs=rngs)
        self.branch7x7dbl_2 = Unit(n, n, (7, 1), rngs=rngs)
        self.branch7x7dbl_3 = Unit(n, n, (1, 7), rngs=rngs)
        self.branch7x7dbl_4 = Unit(n, n, (7, 1), rngs=rngs)
        self.branch7x7dbl_5 = Unit(n, 192, (1, 7), rngs=rngs)
        self.branch_pool = Unit(n_in, 192, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """The branches side by side, [batch, H', W', channels]."""
        b7 = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        double = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        double = self.branch7x7dbl_5(self.branch7x7dbl_4(double))
        return _join(self.branch1x1(x), b7, double, self.branch_pool(_average_pool(x)))


class BlockD(nnx.Module):
    """From 17x17 to 8x8, Mixed_7a."""

    def __init__(self, n_in: int, *, rngs: nnx.Rngs):
        self.branch3x3_1 = Unit(n_in, 192, rngs=rngs)
        self.branch3x3_2 = Unit(192, 320, (3, 3), 2, rngs=rngs)
        self.branch7x7x3_1 = Unit(n_in, 192, rngs=rngs)
        self.branch7x7x3_2 = Unit(192, 192, (1, 7), rngs=rngs)
        self.branch7x7x3_3 = Unit(192, 192, (7, 1), rngs=rngs)
        self.branch7x7x3_4 = Unit(192, 192, (3, 3), 2, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """The branches side by side, [batch, H', W', channels]."""
        b3 = self.branch3x3_2(self.branch3x3_1(x))
        b7 = self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(x)))
        return _join(b3, self.branch7x7x3_4(b7), _max_pool(x, 2, "VALID"))


class BlockE(nnx.Module):
    """The blocks at 8x8, Mixed_7b and Mixed_7c, which differ in the pool."""

    def __init__(self, n_in: int, max_pool: bool, *, rngs: nnx.Rngs):
        self.max_pool = max_pool
        self.branch1x1 = Unit(n_in, 320, rngs=rngs)
        self.branch3x3_1 = Unit(n_in, 384, rngs=rngs)
        self.branch3x3_2a = Unit(384, 384, (1, 3), rngs=rngs)
        self.branch3x3_2b = Unit(384, 384, (3, 1), rngs=rngs)
        self.branch3x3dbl_1 = Unit(n_in, 448, rngs=rngs)
        self.branch3x3dbl_2 = Unit(448, 384, (3, 3), rngs=rngs)
        self.branch3x3dbl_3a = Unit(384, 384, (1, 3), rngs=rngs)
        self.branch3x3dbl_3b = Unit(384, 384, (3, 1), rngs=rngs)
        self.branch_pool = Unit(n_in, 192, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """The branches side by side, [batch, H', W', channels]."""
        b3 = self.branch3x3_1(x)
        double = self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        pooled = _max_pool(x, 1, "SAME") if self.max_pool else _average_pool(x)
        return _join(
            self.branch1x1(x),
            self.branch3x3_2a(b3),
            self.branch3x3_2b(b3),
            self.branch3x3dbl_3a(double),
            self.branch3x3dbl_3b(double),
            self.branch_pool(pooled),
        )


class InceptionV3(nnx.Module):
    """The whole network.

    Args:
        rngs: random streams of its untrained weights.
    """

    def __init__(self, *, rngs: nnx.Rngs):
        self.Conv2d_1a_3x3 = Unit(3, 32, (3, 3), 2, rngs=rngs)
        self.Conv2d_2a_3x3 = Unit(32, 32, (3, 3), padding="VALID", rngs=rngs)
        self.Conv2d_2b_3x3 = Unit(32, 64, (3, 3), rngs=rngs)
        self.Conv2d_3b_1x1 = Unit(64, 80, rngs=rngs)
        self.Conv2d_4a_3x3 = Unit(80, 192, (3, 3), padding="VALID", rngs=rngs)
        self.Mixed_5b = BlockA(192, 32, rngs=rngs)
        self.Mixed_5c = BlockA(256, 64, rngs=rngs)
        self.Mixed_5d = BlockA(288, 64, rngs=rngs)
        self.Mixed_6a = BlockB(288, rngs=rngs)
        self.Mixed_6b = BlockC(768, 128, rngs=rngs)
        self.Mixed_6c = BlockC(768, 160, rngs=rngs)
        self.Mixed_6d = BlockC(768, 160, rngs=rngs)
        self.Mixed_6e = BlockC(768, 192, rngs=rngs)
        self.Mixed_7a = BlockD(768, rngs=rngs)
        self.Mixed_7b = BlockE(1280, False, rngs=rngs)
        self.Mixed_7c = BlockE(2048, True, rngs=rngs)
        self.fc = nnx.Linear(2048, 1008, precision=jax.lax.Precision.HIGHEST, rngs=rngs)

    def __call__(self, x: jax.Array) -> Features:
        """Features and logits.

        Args:
            x: in [-1, 1], float32 [batch, 299, 299, 3].
        """
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        x = _max_pool(x, 2, "VALID")
        x = _max_pool(self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x)), 2, "VALID")
        x = self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(x)))
        x = self.Mixed_6a(x)
        x = self.Mixed_6e(self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(x))))
        x = self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(x)))
        pool3 = x.mean(axis=(1, 2))
        return Features(pool3, self.fc(pool3))


def preprocess(images: jax.Array) -> jax.Array:
    """What the network is given of images.

    Scaled to [0, 1], resized bilinearly (pixels are areas, nothing is smoothed or rounded), and
    scaled to [-1, 1].

    Args:
        images: uint8, [batch, H, W, 3], or [batch, H, W, 1] for gray ones.

    Returns:
        float32 [batch, 299, 299, 3].
    """
    batch, height, width, _ = images.shape
    unit = jnp.broadcast_to(images.astype(jnp.float32) / 255, (batch, height, width, 3))
    shape = (batch, IMAGE_SIZE, IMAGE_SIZE, 3)
    return 2 * jax.image.resize(unit, shape, "linear", antialias=False) - 1


def _join(*branches: jax.Array) -> jax.Array:
    return jnp.concatenate(branches, axis=-1)


def _max_pool(x: jax.Array, stride: int, padding: str) -> jax.Array:
    window, strides = (1, 3, 3, 1), (1, stride, stride, 1)
    return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, window, strides, padding)


def _average_pool(x: jax.Array) -> jax.Array:
    """The 3x3 average at stride 1 of the pixels that there are, without the padding."""

    def total(x: jax.Array) -> jax.Array:
        return jax.lax.reduce_window(x, 0.0, jax.lax.add, (1, 3, 3, 1), (1, 1, 1, 1), "SAME")

    return total(x) / total(jnp.ones((1, *x.shape[1:3], 1), x.dtype))
