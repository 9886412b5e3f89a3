"""Shapes that networks are made for."""

import jax.numpy as jnp
import pytest

from score_sde.models.shapes import check_state, image_shape


def test_sides_are_halved_each_for_itself():
    """20x28 can be halved twice, and a channel need not be even."""
    assert image_shape([20, 28, 3], 2) == (20, 28, 3)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((20, 30, 3), "width 30 cannot be halved 2 times.* a multiple of 4"),
        ((10, 28, 3), "height 10 cannot be halved 2 times"),
        ((20, 28, 0), "channels must be a whole number of at least 1, not 0"),
        ((2,), r"for images, \(height, width, channels\), not for \(2,\)"),
    ],
)
def test_other_shapes_are_refused(shape, message):
    """The message names the side."""
    with pytest.raises(ValueError, match=message):
        image_shape(shape, 2)


def test_a_state_of_another_shape_is_refused():
    """The message says both shapes; any batch will do."""
    check_state(jnp.zeros((7, 4, 6)), (4, 6))
    with pytest.raises(ValueError, match=r"x is \(7, 6, 4\); this network is for \[batch, \*\(4,"):
        check_state(jnp.zeros((7, 6, 4)), (4, 6))
