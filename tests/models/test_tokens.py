"""Patches, where they lie, and the way back."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from score_sde.models import tokens


def test_a_token_is_a_patch():
    """Token 4 of 2 x 3 patches is the middle one of the second row."""
    x = jax.random.normal(jax.random.key(0), (2, 4, 6, 3))
    found = tokens.patchify(x, 2)
    assert found.shape == (2, 6, 12)
    np.testing.assert_array_equal(found[1, 4].reshape(2, 2, 3), x[1, 2:4, 2:4])
    np.testing.assert_array_equal(tokens.unpatchify(found, 2, 3, 2), x)


def test_fixed_positions_are_those_of_the_column_and_of_the_row(x64):
    """Sines of the column, its cosines, and the same of the row; not square."""
    row, column = 1, 4
    found = tokens.sine_cosine(2, 5, 8, jnp.float64)
    assert found.shape == (10, 8)
    waves = np.array([1, 0.01])
    expected = [f(i * waves) for i in (column, row) for f in (np.sin, np.cos)]
    np.testing.assert_allclose(found[row * 5 + column], np.concatenate(expected), rtol=1e-12)


def test_positions_of_a_span_end_there(x64):
    """Half as far apart where there are twice as many; the span says how far in the end."""
    found = tokens.sines_and_cosines(8, 4, span=4)
    np.testing.assert_allclose(found[::2], tokens.sines_and_cosines(4, 4), rtol=1e-12)
    by_row = tokens.sine_cosine(8, 4, 8, jnp.float64, span=4)
    np.testing.assert_allclose(by_row[5 * 4 + 3], [*found[6], *found[5]], rtol=1e-12)


def test_angles_of_three_axes(x64):
    """Nothing turns with the place of the image; then rows, then columns, each with its waves."""
    found = tokens.axes_angles(2, 3, (2, 4, 2), jnp.float64)
    np.testing.assert_allclose(found[1 * 3 + 2], [0, 1, 0.01, 2], rtol=1e-12)


def test_features_that_turn_together(x64):
    """Adjacent ones turn as the halves do, in the other order."""
    x, angles = jax.random.normal(jax.random.key(0), (1, 5, 2, 6)), jnp.arange(15.0).reshape(5, 3)
    halves = np.asarray(x).reshape(1, 5, 2, 3, 2).swapaxes(-1, -2).reshape(x.shape)
    expected = tokens.rotate(jnp.asarray(halves), angles)
    found = np.asarray(tokens.rotate(x, angles, adjacent=True))
    np.testing.assert_allclose(found[..., ::2], expected[..., :3], rtol=1e-10)
    np.testing.assert_allclose(found[..., 1::2], expected[..., 3:], rtol=1e-10)


def test_rotary_positions_are_relative(x64):
    """Products of turned queries and keys are the same wherever the two lie, if not how far."""
    angles = tokens.rotary_angles(3, 4, 8, jnp.float64)
    q, k = jax.random.normal(jax.random.key(0), (2, 8), jnp.float64)
    everywhere = lambda v: jnp.broadcast_to(v, (1, 12, 1, 8))  # noqa: E731
    turned = [tokens.rotate(everywhere(v), angles)[0, :, 0] for v in (q, k)]
    products = np.asarray(turned[0] @ turned[1].T).reshape(3, 4, 3, 4)
    for down, right in ((0, 0), (1, 0), (0, 2), (1, 1)):
        same = [
            products[r, c, r + down, c + right] for r in range(3 - down) for c in range(4 - right)
        ]
        np.testing.assert_allclose(same, same[0], rtol=1e-10)
    np.testing.assert_allclose(products[0, 0, 0, 0], q @ k, rtol=1e-10)
    assert len(np.unique(products[0, 0].round(6))) == 12  # rows and columns are told apart


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (
            (9, 12, 3),
            "height 9 is no multiple of the patch, 2 pixels: for 9x12 choose patch=1 or 3",
        ),
        ((8, 7, 3), "width 7 is no multiple of the patch, 2 pixels: for 8x7 choose patch=1$"),
    ],
)
def test_a_patch_that_does_not_fill_the_image_is_refused(shape, message):
    """The message says which would."""
    with pytest.raises(ValueError, match=message):
        tokens.grid(shape, 2)
