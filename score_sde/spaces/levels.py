r"""Pixels <-> values that a model sees, on the device: pure functions for use inside `jax.jit`.

A pixel p in 0..255 of a set with L levels stands for the integer level

    k = round(p (L - 1) / 255),    p = round(255 k / (L - 1)),    k in 0..L-1.               (1)

For L = 256, k = p. Randomness of example i depends on (key, i) only, so it does not depend on how a
batch is sharded; i is the position in the global batch.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from score_sde import keys


def pixels(levels: int) -> np.ndarray:
    """The pixels that stand for each of L levels, equation (1), on the host; float64 [L].

    Args:
      levels: L.
    """
    return np.round(np.arange(levels) * (255 / (levels - 1)))


def nearest(images: np.ndarray, levels: int) -> np.ndarray:
    """The pixels of the nearest of L levels, on the host; uint8, the shape of images.

    Args:
      images: uint8 pixels of any level.
      levels: L.
    """
    level = np.round(images * ((levels - 1) / 255))
    return pixels(levels)[level.astype(int)].astype(np.uint8)


def to_model(images: jax.Array, centered: bool, dtype: DTypeLike = jnp.float32) -> jax.Array:
    """Scales pixels: x = p / 255, or 2 p / 255 - 1 if centered.

    Args:
      images: uint8 pixels, [batch, H, W, C] (any shape).
      centered: whether the model's range is [-1, 1] and not [0, 1].
      dtype: of the result.

    Returns:
      x in [0, 1] or [-1, 1], the shape of images.
    """
    x = images.astype(dtype) / 255
    return 2 * x - 1 if centered else x


def from_model(
    x: jax.Array, centered: bool, levels: int = 256, dequantized: bool = False
) -> jax.Array:
    """Inverts `to_model`: k = round((L - 1) x), clipped to 0..L-1, as the pixel of equation (1).

    Of a model of dequantised data it inverts `dequantize`: k = floor(L x).

    Args:
      x: model values, in [0, 1], or [-1, 1] if centered; values outside are clipped. Any shape.
      centered: as for `to_model`.
      levels: L, the number of distinct pixel values of the set (17 for the digits).
      dequantized: whether the model was trained on dequantised data.

    Returns:
      uint8 pixels, the shape of x.
    """
    unit = jnp.clip((x + 1) / 2 if centered else x, 0, 1)
    if dequantized:
        level = jnp.minimum(jnp.floor(unit * levels), levels - 1)
    else:
        level = jnp.round(unit * (levels - 1))
    return jnp.round(level * (255 / (levels - 1))).astype(jnp.uint8)


def middles(images: jax.Array, levels: int, centered: bool) -> jax.Array:
    """The middle of what `dequantize` gives: x = (k + 1/2) / L, or 2 x - 1 if centered.

    Args:
      images: uint8 pixels, any shape.
      levels: L, number of distinct pixel values of the set.
      centered: as for `to_model`.

    Returns:
      x, float32, the shape of images; `from_model` inverts it.
    """
    level = jnp.round(images.astype(jnp.float32) * ((levels - 1) / 255))
    x = (level + 0.5) / levels
    return 2 * x - 1 if centered else x


def dequantize(
    key: jax.Array,
    images: jax.Array,
    levels: int,
    centered: bool,
    dtype: DTypeLike = jnp.float32,
) -> jax.Array:
    """Uniform dequantisation (Theis et al. 2016, arXiv:1511.01844, section 3.1).

        x = (k + u) / L,    u ~ Uniform[0, 1),    or 2 x - 1 if centered,

    with k of equation (1). A density p(x) on [0, 1] then bounds the probability of the level by
    E log p(x) - D log L. The scale is 1 / L here and 1 / (L - 1) in `to_model`: likelihoods need
    the bins to tile the interval.

    Args:
      key: JAX random key, or one for each example, [batch].
      images: uint8 pixels, [batch, H, W, C].
      levels: L, number of distinct pixel values of the set.
      centered: whether to give [-1, 1) and not [0, 1).
      dtype: of the result.

    Returns:
      x, the shape of images; floor(L x) is k if not centered.
    """
    level = jnp.round(images.astype(dtype) * ((levels - 1) / 255))
    noise = jax.vmap(lambda k: jax.random.uniform(k, images.shape[1:], dtype))(
        _example_keys(key, images.shape[0])
    )
    # In float32, 255 + u rounds to 256 for u within 8e-6 of 1: keep it below the next level.
    x = jnp.minimum(level + noise, jnp.nextafter(level + 1, jnp.zeros_like(level))) / levels
    return 2 * x - 1 if centered else x


def random_flip(key: jax.Array, x: jax.Array) -> jax.Array:
    """Mirrors each image left to right with probability 1/2.

    Args:
      key: JAX random key, or one for each example, [batch].
      x: images of any dtype, [batch, H, W, C].

    Returns:
      The images, flipped or not; shape and dtype of x.
    """
    flip = jax.vmap(jax.random.bernoulli)(_example_keys(key, x.shape[0]))
    return jnp.where(flip[:, None, None, None], x[:, :, ::-1], x)


def _example_keys(key: jax.Array, batch: int) -> jax.Array:
    """One key for each example: of its position in the batch, or folded from its own."""
    return keys.fold_in(key, 0) if keys.is_vector(key) else keys.of_examples(key, jnp.arange(batch))
