"""Images as sequences of tokens: patches, where they lie, and the way back.

The patches of an image of R x C patches are counted along its rows: that of row r and column c is
token r C + c.
"""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

_BASE = 1e4  # of sine-cosine positions: their longest wave is 2 pi times as long
ROTARY_BASE = 100.0  # of rotary ones: an image is some tens of patches wide, a text far longer


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


def to_channels(x: jax.Array, patch: int) -> jax.Array:
    """The pixels of each patch as the channels of one; see `patchify`.

    Args:
        x: [batch, height, width, channels].
        patch: side of a patch, which divides height and width.

    Returns:
        [batch, height / patch, width / patch, patch * patch * channels].
    """
    batch, height, width, _ = x.shape
    return patchify(x, patch).reshape(batch, height // patch, width // patch, -1)


def from_channels(x: jax.Array, patch: int) -> jax.Array:
    """The inverse of `to_channels`."""
    batch, rows, columns, channels = x.shape
    return unpatchify(x.reshape(batch, -1, channels), rows, columns, patch)


def sine_cosine(
    rows: int, columns: int, features: int, dtype: jnp.dtype, span: float | None = None
) -> jax.Array:
    """Fixed positions in two dimensions (Vaswani et al. 2017, arXiv 1706.03762, for each).

    Args:
        rows: patches from top to bottom.
        columns: patches from left to right.
        features: of a token, a multiple of 4.
        dtype: of the result.
        span: how long either side is, whatever the number of its patches; None: as many as these.

    Returns:
        [rows * columns, features]: of the column the features of `sines_and_cosines`, half as many,
        then of the row the same.
    """
    of_row, of_column = (sines_and_cosines(n, features // 2, span) for n in (rows, columns))
    return on_grid(of_row, of_column, dtype)


def sines_and_cosines(size: int, features: int, span: float | None = None) -> np.ndarray:
    """Fixed positions in one dimension.

    Args:
        size: how many there are.
        features: of each, a multiple of 2.
        span: where they would end; None: at size.

    Returns:
        [size, features], float64: with p_i = i span / size the sines of
        p_i 10000^(-2 j / features), 0 <= j < features / 2, then the cosines.
    """
    angles = _angles(size, features // 2, _BASE) * (1 if span is None else span / size)
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1)


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
    row, column = (_angles(size, features // 4, ROTARY_BASE) for size in (rows, columns))
    return on_grid(row, column, dtype)


def axes_angles(rows: int, columns: int, axes: Sequence[int], dtype: jnp.dtype) -> jax.Array:
    """Angles of rotary positions on three axes (Su et al. 2021, arXiv 2104.09864, for each).

    Args:
        rows: patches from top to bottom.
        columns: patches from left to right.
        axes: features of a head, even numbers, that turn with the place of an image among several,
            which is 0 for the only one, with its row and with its column.
        dtype: of the result.

    Returns:
        [rows * columns, sum(axes) / 2]: zeros, of the row i the angles i 10000^(-2 j / features),
        0 <= j < features / 2, of the column the same.
    """
    first, *halves = (n // 2 for n in axes)
    row, column = (_angles(*size, _BASE) for size in zip((rows, columns), halves, strict=True))
    parts = (
        jnp.zeros((rows, columns, first), dtype),
        jnp.broadcast_to(jnp.asarray(row, dtype)[:, None], (rows, columns, halves[0])),
        jnp.broadcast_to(jnp.asarray(column, dtype)[None], (rows, columns, halves[1])),
    )
    return jnp.concatenate(parts, axis=-1).reshape(rows * columns, -1)


def line_angles(size: int, features: int, base: float, dtype: jnp.dtype) -> jax.Array:
    """Angles of rotary positions on a line (Su et al. 2021, arXiv 2104.09864).

    Args:
        size: how many tokens there are.
        features: of a head, an even number.
        base: of the angles, such as ROTARY_BASE for few tokens.
        dtype: of the result.

    Returns:
        [size, features / 2]: of token i the angles i base^(-2 j / features).
    """
    # Where the program runs, as in `on_grid`.
    waves = jnp.asarray(base ** -(np.arange(features // 2) / (features // 2)), dtype)
    return jnp.arange(size, dtype=dtype)[:, None] * waves[None]


def volume_angles(sizes: tuple[int, int, int], features: int, dtype: jnp.dtype) -> jax.Array:
    """Angles of rotary positions of the places of a video, frame by frame, row by row.

    Args:
        sizes: frames, rows, columns.
        features: of a head, a multiple of 8: half of them turn with the frame, a quarter with the
            row, a quarter with the column.
        dtype: of the result.

    Returns:
        [frames * rows * columns, features / 2]: of the frame i the angles i 100^(-4 j / features),
        0 <= j < features / 4, of the row the angles i 100^(-8 j / features), 0 <= j < features / 8,
        of the column the same.
    """
    parts = []
    for axis, (size, share) in enumerate(zip(sizes, (2, 4, 4), strict=True)):
        angles = line_angles(size, features // share, ROTARY_BASE, dtype)
        across = jnp.expand_dims(angles, [i for i in range(3) if i != axis])
        parts.append(jnp.broadcast_to(across, (*sizes, angles.shape[-1])))
    return jnp.concatenate(parts, axis=-1).reshape(math.prod(sizes), -1)


def rotate(x: jax.Array, angles: jax.Array, adjacent: bool = False) -> jax.Array:
    """Turn features j and j + d / 2 of each token, as coordinates of a plane, by its j-th angle.

    The product of a query and a key, both turned, depends on their angles by the difference alone
    (Su et al. 2021, arXiv 2104.09864).

    Args:
        x: [batch, tokens, heads, d].
        angles: [tokens, d / 2].
        adjacent: turn features 2 j and 2 j + 1 instead.

    Returns:
        The shape and dtype of x; turned in float32 or better.
    """
    wide = jnp.promote_types(x.dtype, jnp.float32)
    angles = jnp.asarray(angles, wide)[None, :, None]
    cos, sin = jnp.cos(angles), jnp.sin(angles)
    wide_x = x.astype(wide)
    a, b = (wide_x[..., ::2], wide_x[..., 1::2]) if adjacent else jnp.split(wide_x, 2, axis=-1)
    turned = jnp.stack([a * cos - b * sin, b * cos + a * sin], axis=-1 if adjacent else -2)
    return turned.reshape(x.shape).astype(x.dtype)


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


def on_grid(
    of_row: np.ndarray | jax.Array, of_column: np.ndarray | jax.Array, dtype: jnp.dtype
) -> jax.Array:
    """What belongs to the column of each token, then to its row: [tokens, features].

    Where the program runs, so that whoever counts parameters makes no array of many tokens.
    """
    both = (jnp.asarray(of_column, dtype)[None], jnp.asarray(of_row, dtype)[:, None])
    grid = (len(of_row), len(of_column), of_row.shape[1])
    wide = [jnp.broadcast_to(one, grid) for one in both]
    return jnp.concatenate(wide, axis=-1).reshape(grid[0] * grid[1], -1)
