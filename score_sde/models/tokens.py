"""Images as sequences of tokens: patches, where they lie, and the way back.

The patches of an image of R x C patches are counted along its rows: that of row r and column c is
token r C + c.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np

_BASE = 1e4  # of sine-cosine positions: their longest wave is 2 pi times as long
_ROTARY_BASE = 100.0  # of rotary ones: an image is some tens of patches wide, a text far longer


def patchify(x: jax.Array, patch: int) -> jax.Array:
    """Cut images into square patches.

    Args:
        x: [batch, height, width, channels].
        patch: side of a patch, which divides height and width.

    Returns:
        [batch, tokens, patch * patch * channels]: the pixels of a patch, row by row.
    """
    batch, height, width, channels = x.shape
    x = x.reshape(batch, height // patch, patch, width // patch, patch, channels)
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(batch, -1, patch * patch * channels)


def unpatchify(tokens: jax.Array, rows: int, columns: int, patch: int) -> jax.Array:
    """The inverse of `patchify`.

    Args:
        tokens: [batch, rows * columns, patch * patch * channels].
        rows: patches from top to bottom.
        columns: patches from left to right.
        patch: side of a patch.

    Returns:
        [batch, rows * patch, columns * patch, channels].
    """
    x = tokens.reshape(len(tokens), rows, columns, patch, patch, -1)
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(len(x), rows * patch, columns * patch, -1)


def sine_cosine(rows: int, columns: int, features: int, dtype: jnp.dtype) -> jax.Array:
    """Fixed positions in two dimensions (Vaswani et al. 2017, arXiv 1706.03762, for each).

    Args:
        rows: patches from top to bottom.
        columns: patches from left to right.
        features: of a token, a multiple of 4.
        dtype: of the result.

    Returns:
        [rows * columns, features]: of the column i the sines of i 10000^(-4 j / features),
        0 <= j < features / 4, then the cosines; of the row the same.
    """

    def one(size: int) -> np.ndarray:
        angles = _angles(size, features // 4, _BASE)
        return np.concatenate([np.sin(angles), np.cos(angles)], axis=1)

    return _on_grid(one(rows), one(columns), dtype)


def rotary_angles(rows: int, columns: int, features: int, dtype: jnp.dtype) -> jax.Array:
    """Angles of rotary positions on two axes (Heo et al. 2024, arXiv 2403.13298, Section 3.1).

    Args:
        rows: patches from top to bottom.
        columns: patches from left to right.
        features: of a head, a multiple of 4.
        dtype: of the result.

    Returns:
        [rows * columns, features / 2]: of the column i the angles i 100^(-4 j / features),
        0 <= j < features / 4; of the row the same.
    """
    row, column = (_angles(size, features // 4, _ROTARY_BASE) for size in (rows, columns))
    return _on_grid(row, column, dtype)


def rotate(x: jax.Array, angles: jax.Array) -> jax.Array:
    """Turn features j and j + d / 2 of each token, as coordinates of a plane, by its j-th angle.

    The product of a query and a key, both turned, depends on their angles by the difference alone
    (Su et al. 2021, arXiv 2104.09864).

    Args:
        x: [batch, tokens, heads, d].
        angles: [tokens, d / 2].

    Returns:
        The shape and dtype of x; turned in float32 or better.
    """
    wide = jnp.promote_types(x.dtype, jnp.float32)
    angles = jnp.asarray(angles, wide)[None, :, None]
    cos, sin = jnp.cos(angles), jnp.sin(angles)
    a, b = jnp.split(x.astype(wide), 2, axis=-1)
    return jnp.concatenate([a * cos - b * sin, b * cos + a * sin], axis=-1).astype(x.dtype)


def grid(shape: tuple[int, int, int], patch: int) -> tuple[int, int]:
    """How many patches an image has: rows and columns.

    Args:
        shape: (height, width, channels).
        patch: side of a patch.

    Raises:
        ValueError: patches do not fill the image.
    """
    for name, size in zip(("height", "width"), shape, strict=False):
        if size % patch:
            fitting = [n for n in range(1, 17) if math.gcd(*shape[:2]) % n == 0]
            raise ValueError(
                f"{name} {size} is no multiple of the patch, {patch} pixels: for {shape[0]}x"
                f"{shape[1]} choose patch={' or '.join(map(str, fitting))}"
            )
    return shape[0] // patch, shape[1] // patch


def _angles(size: int, waves: int, base: float) -> np.ndarray:
    """i base^(-j / waves) for 0 <= i < size and 0 <= j < waves, float64."""
    return np.arange(size)[:, None] * base ** -(np.arange(waves) / waves)[None]


def _on_grid(of_row: np.ndarray, of_column: np.ndarray, dtype: jnp.dtype) -> jax.Array:
    """What belongs to the column of each token, then to its row: [tokens, features].

    Where the program runs, so that whoever counts parameters makes no array of many tokens.
    """
    both = (jnp.asarray(of_column, dtype)[None], jnp.asarray(of_row, dtype)[:, None])
    grid = (len(of_row), len(of_column), of_row.shape[1])
    wide = [jnp.broadcast_to(one, grid) for one in both]
    return jnp.concatenate(wide, axis=-1).reshape(grid[0] * grid[1], -1)
